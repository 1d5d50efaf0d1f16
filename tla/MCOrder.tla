------------------------------- MODULE MCOrder ------------------------------
(***************************************************************************)
(* step tells what was done last (see MCRing).                             *)
(***************************************************************************)
EXTENDS Order

VARIABLE step

MCInit == Init /\ step = <<>>
MCNext == \E s \in 1 .. 2, a \in Versions : Merge(s, a) /\ step' = <<"Merge", s, a>>
MCSpec == MCInit /\ [][MCNext]_<<vars, step>>

View == vars
=============================================================================
