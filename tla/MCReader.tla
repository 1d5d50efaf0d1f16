------------------------------ MODULE MCReader ------------------------------
(***************************************************************************)
(* Bounds for TLC; step tells what was done last (see MCRing).             *)
(***************************************************************************)
EXTENDS Reader, TLC

CONSTANT MaxWrites

VARIABLE step

MCInit == Init /\ step = <<>>

RECURSIVE Sum(_)
Sum(i) == IF i = N THEN 0 ELSE Len(written[i]) + Sum(i + 1)

MCNext ==
  \/ \E i \in Servers, k \in Keys, t \in Times :
       Sum(0) < MaxWrites /\ Write(i, k, t) /\ step' = <<"Write", i, k, t>>
  \/ \E v \in Between(S, everywhere) : Begin(v) /\ step' = <<"Begin", v>>
  \/ \E d \in todo : Put(d) /\ step' = <<"Put", d>>
  \/ \E k \in Keys :
       \/ Load(k)           /\ step' = <<"Load", k>>
       \/ Evict(k)          /\ step' = <<"Evict", k>>
       \/ DirectReadSlot(k) /\ step' = <<"DirectReadSlot", k>>
  \/ Publish     /\ step' = <<"Publish">>
  \/ \E D \in Between(Zero, everywhere), ks \in SUBSET Keys \ {{}} :
       DirectLoadS(D, ks) /\ step' = <<"DirectLoadS", D, ks>>
  \/ GiveUp      /\ step' = <<"GiveUp">>
  \/ AbsorbLater /\ step' = <<"AbsorbLater">>

MCSpec == MCInit /\ [][MCNext]_<<vars, step>>

View == vars
Symmetric == Permutations(Keys)
=============================================================================
