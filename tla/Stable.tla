------------------------------- MODULE Stable -------------------------------
(***************************************************************************)
(* The idea that carries the protocol, and nothing else: what is closed    *)
(* and everywhere is visible.  How servers find out is left open; Ring     *)
(* says how, and refines this.                                             *)
(*                                                                         *)
(* Each server s has received R[s] and shows what S[s] covers.  S[s] may   *)
(* rise to any vector that everyone has received and that is a causal      *)
(* snapshot.                                                               *)
(*                                                                         *)
(* TLC cannot run this (what comes next is only constrained): it is what   *)
(* Ring is checked against, as the property Refines.                       *)
(***************************************************************************)
EXTENDS Sessions

VARIABLES R, S

vars == <<written, R, S, session>>

Init ==
  /\ written = [i \in Servers |-> <<>>]
  /\ R = [s \in Servers |-> Zero]
  /\ S = [s \in Servers |-> Zero]
  /\ session = [x \in Sessions |-> Fresh]

Length(w) == [i \in Servers |-> Len(w[i])]

\* Server s, and no other, receives some of what is written, and raises S to what
\* everyone has received and is a snapshot.
Rise(s) ==
  /\ \A t \in Servers \ {s} : R'[t] = R[t] /\ S'[t] = S[t]
  /\ AtMost(R[s], R'[s]) /\ AtMost(R'[s], Length(written'))
  /\ AtMost(S[s], S'[s])
  /\ \A t \in Servers : AtMost(S'[s], R'[t])
  /\ \A d \in Covered(S'[s]) : \A e \in written'[d[1]][d[2]].past : Covers(S'[s], e)

Serve(s) == UNCHANGED <<written, session>> /\ Rise(s)

Read(x, s, k) ==
  /\ UNCHANGED written
  /\ Rise(s)
  /\ AtMost(session[x].D, S'[s])
  /\ LET c == Absorb(session[x], S'[s], None)
     IN  session' = [session EXCEPT ![x] = Absorb(c, c.D, Overlay(Covered(c.D), c.own, k))]

Sync(x, s) ==
  /\ UNCHANGED written
  /\ Rise(s)
  /\ AtMost(session[x].D, S'[s])
  /\ session' = [session EXCEPT ![x] = Absorb(@, S'[s], None)]

Write(x, s, v) ==
  /\ v.past = session[x].past
  /\ \A e \in v.past \cup {<<s, c>> : c \in 1 .. Len(written[s])} : Version(e).time < v.time
  /\ written' = [written EXCEPT ![s] = Append(@, v)]
  /\ Rise(s)
  /\ R'[s][s] = Len(written'[s])
  /\ AtMost(session[x].D, S'[s])
  /\ session' = [session EXCEPT ![x] = Wrote(Absorb(@, S'[s], None), <<s, Len(written'[s])>>)]

Next ==
  \/ \E s \in Servers : Serve(s)
  \/ \E x \in Sessions, s \in Servers : Sync(x, s) \/ \E k \in Keys : Read(x, s, k)
  \/ \E x \in Sessions, s \in Servers :
       /\ Len(written'[s]) > Len(written[s])
       /\ Write(x, s, written'[s][Len(written'[s])])
  \/ \E x, y \in Sessions : Merge(x, y) /\ UNCHANGED <<written, R, S>>

Spec == Init /\ [][Next]_vars
=============================================================================
