------------------------------- MODULE MCRing -------------------------------
(***************************************************************************)
(* Bounds for TLC.  step tells what was done last, for whoever reads a     *)
(* counterexample; it is no part of the state (see the VIEW).              *)
(***************************************************************************)
EXTENDS Ring, TLC

CONSTANTS MaxWrites, \* by all servers together
          Losses,    \* whether links are lost
          Eager      \* whether messages are sent at once: see Settled

VARIABLE step

MCInit == Init /\ step = <<>>

RECURSIVE Sum(_)
Sum(i) == IF i = N THEN 0 ELSE Len(written[i]) + Sum(i + 1)

(***************************************************************************)
(* Fewer states for larger bounds: what can be sent is sent before         *)
(* anything else happens.  That leaves no behaviour out that matters: what *)
(* is sent earlier carries an older E, and Learn may make up for that at   *)
(* any time.                                                               *)
(***************************************************************************)
Settled == ~Eager \/ \A s \in Servers : unsent[s] = <<>> \/ Len(wire[s]) = Window

MCNext ==
  \/ \E s \in Servers : Send(s) /\ step' = <<"Send", s>>
  \/ Settled /\ \E s \in Servers :
       \/ Receive(s)       /\ step' = <<"Receive", s>>
       \/ EndFirstRound(s) /\ step' = <<"EndFirstRound", s>>
       \/ PassMark(s)      /\ step' = <<"PassMark", s>>
       \/ End(s)           /\ step' = <<"End", s>>
       \/ \E i \in Servers : Hear(s, i) /\ step' = <<"Hear", s, i>>
       \/ /\ Losses
          /\ \E r \in Between(Zero, R[Succ(s)]), m \in Between(Zero, marked[Succ(s)]) :
               Resync(s, r, m) /\ step' = <<"Resync", s, r>>
  \/ Settled /\ \E x \in Sessions, s \in Servers, k \in Keys :
       \/ Read(x, s, k) /\ session' # session /\ step' = <<"Read", x, s, k, Answer(x, s, k)>>
       \/ /\ Sum(0) < MaxWrites
          /\ \E t \in Times : Write(x, s, k, t) /\ step' = <<"Write", x, s, k, t>>
  \/ Settled /\ \E x \in Sessions, s \in Servers :
       Sync(x, s) /\ session' # session /\ step' = <<"Sync", x, s>>
  \/ Settled /\ \E x, y \in Sessions : x # y /\ Joins(x, y) /\ session' # session /\ step' = <<"Joins", x, y>>

MCSpec == MCInit /\ [][MCNext]_<<vars, step>>

\* For what happens at last; without the VIEW, which would hide steps.
FairSpec == MCSpec /\ Fairness

\* These bounds allow nothing that Ring does not.
Allowed == [][Next]_vars

View == vars
Symmetric == Permutations(Sessions) \cup Permutations(Keys)
=============================================================================
