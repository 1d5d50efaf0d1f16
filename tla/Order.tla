------------------------------- MODULE Order --------------------------------
(***************************************************************************)
(* Which of several versions of a key is shown (../docs/protocol.md, 3.6). *)
(* Servers meet the versions in different orders, and merge each into what *)
(* they have.  Merging has to be a join: whatever the order, who has met   *)
(* the same shows the same.                                                *)
(*                                                                         *)
(* Version j is number j in the conflict order, and has a vector clock,    *)
(* which says what it causally depends on.  Stamps extend causality, so a  *)
(* version with a lower clock has a lower number.  The defect does without *)
(* stamps: an entry has the join of all clocks that were merged into it,   *)
(* and is compared with a newcomer's.                                      *)
(***************************************************************************)
EXTENDS Naturals

CONSTANTS N,        \* components of a clock
          MaxClock, \* the highest value of one
          Defects

VARIABLES clock, \* of each version
          entry, \* of each of two servers: the version shown, 0 for none, and the join of clocks
          met    \* of each server: the versions that it has met

vars == <<clock, entry, met>>

Versions == 1 .. 3
Clocks   == [1 .. N -> 0 .. MaxClock]

Max(a, b)    == IF a < b THEN b ELSE a
Join(v, w)   == [i \in 1 .. N |-> Max(v[i], w[i])]
Before(v, w) == v # w /\ \A i \in 1 .. N : v[i] <= w[i]

\* The first component in which they differ decides.
After(v, w) == \E i \in 1 .. N : v[i] > w[i] /\ \A j \in 1 .. i - 1 : v[j] = w[j]

Nothing == [version |-> 0, clock |-> [i \in 1 .. N |-> 0]]

Init ==
  /\ clock \in {c \in [Versions -> Clocks] : \A a, b \in Versions : a < b => c[a] # c[b] /\ ~Before(c[b], c[a])}
  /\ entry = [s \in 1 .. 2 |-> Nothing]
  /\ met = [s \in 1 .. 2 |-> {}]

Wins(a, e) ==
  IF "merged-clock-order" \in Defects
  THEN Before(e.clock, clock[a]) \/ (~Before(clock[a], e.clock) /\ After(clock[a], e.clock))
  ELSE a > e.version

Merge(s, a) ==
  /\ a \notin met[s]
  /\ met' = [met EXCEPT ![s] = @ \cup {a}]
  /\ entry' = [entry EXCEPT ![s] =
       [version |-> IF @.version = 0 \/ Wins(a, @) THEN a ELSE @.version, clock |-> Join(@.clock, clock[a])]]
  /\ UNCHANGED clock

Next == \E s \in 1 .. 2, a \in Versions : Merge(s, a)

Spec == Init /\ [][Next]_vars

ServersAgree == met[1] = met[2] => entry[1].version = entry[2].version
=============================================================================
