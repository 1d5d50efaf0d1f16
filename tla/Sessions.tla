------------------------------ MODULE Sessions ------------------------------
(***************************************************************************)
(* The client's half: what a workflow takes along.  A context is           *)
(*   D     the S that the session knows;                                   *)
(*   own   its own writes that D does not cover;                           *)
(*   past  all dots that it has read or written, and their pasts.  Nobody  *)
(*         carries that: it is here to say what is right.                  *)
(***************************************************************************)
EXTENDS Versions

CONSTANT Sessions

VARIABLE session

Fresh == [D |-> Zero, own |-> {}, past |-> {}]

WithPast(d) == IF d = None THEN {} ELSE {d} \cup Version(d).past

(***************************************************************************)
(* A reply brings the S of the server, and perhaps a version.  Own writes  *)
(* that this S covers are dropped.                                         *)
(***************************************************************************)
Absorb(c, v, d) ==
  [D |-> v, own |-> Uncovered(c.own, v), past |-> c.past \cup WithPast(d)]

\* The session has written d.
Wrote(c, d) == [c EXCEPT !.own = @ \cup {d}, !.past = @ \cup {d}]

\* Two branches of a workflow join.  One that starts is a fresh one that joins.
Joined(c, b) ==
  LET v == Join(c.D, b.D)
  IN  [D |-> v, own |-> Uncovered(c.own \cup b.own, v), past |-> c.past \cup b.past]

Merge(x, y) == session' = [session EXCEPT ![x] = Joined(@, session[y])]

(***************************************************************************)
(* What a read of k comes to, where a server shows the versions ds: the    *)
(* higher of that and the session's own.                                   *)
(***************************************************************************)
Overlay(ds, own, k) == Higher(Top(ds, k), Top(own, k))

----------------------------------------------------------------------------
(***************************************************************************)
(* The promise (../docs/protocol.md, section 1), for a function seen that  *)
(* says for each key what the session would be given.                      *)
(***************************************************************************)
RespectsPast(c, seen) ==
  \A d \in c.past : ~Lower(seen[Version(d).key], d)

IsCut(seen) ==
  \A k \in Keys : \A d \in WithPast(seen[k]) : ~Lower(seen[Version(d).key], d)

\* The conflict order extends causality.
OrderIsCausal == \A d \in Dots : \A e \in Version(d).past : Lower(e, d)
=============================================================================
