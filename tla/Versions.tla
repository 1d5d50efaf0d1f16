------------------------------ MODULE Versions ------------------------------
(***************************************************************************)
(* The words that the modules share: versions and their dots, the conflict *)
(* order, stability vectors.  ../docs/protocol.md, section 2, has them in  *)
(* English.                                                                *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS N,    \* how many servers; they are 0 .. N-1, in the order of the ring
          Keys

ASSUME N \in Nat \ {0}

VARIABLE written \* written[i]: the versions that server i has made, in order

Servers == 0 .. N - 1

Succ(s) == (s + 1) % N
Pred(s) == (s + N - 1) % N

(***************************************************************************)
(* A version is a record                                                   *)
(*   key, time  what it is of, and its hybrid time;                        *)
(*   deps       what travels with it: the highest write in flight of its   *)
(*              session, per origin;                                       *)
(*   past       all dots in its causal past.  No server knows it: it is    *)
(*              here to say what is right.                                 *)
(* Store and Reader do without deps and past; Store has tombstone.         *)
(* Its dot <<i, c>> is its name: version c of origin i.                    *)
(***************************************************************************)
None == <<0, 0>> \* "absent": the lowest of all

Dots == UNION {{<<i, c>> : c \in 1 .. Len(written[i])} : i \in Servers}

Version(d) == written[d[1]][d[2]]

(***************************************************************************)
(* The conflict order: hybrid time, then origin.                           *)
(***************************************************************************)
Lower(d, e) ==
  /\ e # None
  /\ \/ d = None
     \/ Version(d).time < Version(e).time
     \/ Version(d).time = Version(e).time /\ d[1] < e[1]

Higher(d, e) == IF Lower(d, e) THEN e ELSE d

OfKey(ds, k) == {d \in ds : Version(d).key = k}

Top(ds, k) == \* the highest version of k among ds
  LET mine == OfKey(ds, k)
  IN  IF mine = {} THEN None ELSE CHOOSE d \in mine : \A e \in mine : ~Lower(d, e)

(***************************************************************************)
(* A vector says of each origin how many of its versions are meant.        *)
(***************************************************************************)
Zero == [i \in Servers |-> 0]

Max(a, b) == IF a < b THEN b ELSE a

AtMost(v, w)  == \A i \in Servers : v[i] <= w[i]
Join(v, w)    == [i \in Servers |-> Max(v[i], w[i])]
Covers(v, d)  == d[2] <= v[d[1]]
Covered(v)    == UNION {{<<i, c>> : c \in 1 .. v[i]} : i \in Servers}
Uncovered(ds, v) == {d \in ds : ~Covers(v, d)}

\* The vectors between v and w.
Between(v, w) ==
  {u \in [Servers -> 0 .. CHOOSE m \in {w[i] : i \in Servers} : \A i \in Servers : w[i] <= m] :
    AtMost(v, u) /\ AtMost(u, w)}

HasPast(d, v) == \A e \in Version(d).past : Covers(v, e)

(***************************************************************************)
(* A vector is a causal snapshot if with a version it covers all of the    *)
(* version's past.  This is what S has to be.                              *)
(***************************************************************************)
Snapshot(v) == \A d \in Covered(v) : HasPast(d, v)

(***************************************************************************)
(* What a server can tell: the largest vector up to v that covers, with a  *)
(* version, what the version says that it depends on.                      *)
(***************************************************************************)
RECURSIVE Prefix(_, _, _)
Prefix(v, i, c) == \* how far origin i goes beyond c before a dependency is missing
  IF c < v[i] /\ \A d \in written[i][c + 1].deps : Covers(v, d) THEN Prefix(v, i, c + 1) ELSE c

RECURSIVE Closure(_)
Closure(v) ==
  LET w == [i \in Servers |-> Prefix(v, i, 0)]
  IN  IF w = v THEN v ELSE Closure(w)

(***************************************************************************)
(* The smallest vector above v that covers, with d and with all that it    *)
(* covers beyond v, what they say that they depend on.                     *)
(***************************************************************************)
RECURSIVE With(_, _)
With(v, ds) ==
  LET new == Uncovered(ds, v)
      w   == [i \in Servers |-> LET cs == {d[2] : d \in {e \in new : e[1] = i}}
                                IN  IF cs = {} THEN v[i] ELSE CHOOSE c \in cs : \A b \in cs : b <= c]
  IN  IF new = {} THEN v
      ELSE With(w, UNION {Version(d).deps : d \in Covered(w) \ Covered(v)})
=============================================================================
