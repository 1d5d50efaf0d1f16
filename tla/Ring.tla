-------------------------------- MODULE Ring --------------------------------
(***************************************************************************)
(* How versions become visible: traversals of the ring, E and S, and the   *)
(* sessions that roam (../docs/protocol.md, section 3).  In one round and  *)
(* in two it refines Stable; carrying does not: there S is no snapshot.    *)
(*                                                                         *)
(* Each version travels from its head round the ring to the tail, the      *)
(* server before the head.  Links are first in, first out; they delay      *)
(* messages, are lost with all that is on them, and start again from what  *)
(* the receiver says that it has.  E[s], what s knows to be everywhere,    *)
(* rises at tails and travels on every message; S[s] is its largest closed *)
(* part, and is visible.                                                   *)
(*                                                                         *)
(* Defects leave out one rule each.  They have the names that the code and *)
(* its simulator use; with none of them this is the protocol.              *)
(***************************************************************************)
EXTENDS Sessions

CONSTANTS
  Times,       \* that stamps may take
  Propagation, \* "one-round", "two-round", or "carrying": see Carried
  Window,      \* messages on a link at a time
  Defects

ASSUME Propagation \in {"one-round", "two-round", "carrying"}

VARIABLES
  R, E, S, \* of each server: received, known to be everywhere, visible
  unsent,  \* of each server: what it has still to send to its successor, in order
  sent,    \* what it has sent, and keeps until E covers it
  wire,    \* what is on the link to its successor
  marked,  \* two-round: how far second traversals have come here, per origin
  begun    \* two-round: for how many versions this tail has begun them

servers == <<R, E, S, unsent, sent, marked, begun>>
vars == <<written, session, wire, servers>>

Has(defect) == defect \in Defects

Init ==
  /\ written = [i \in Servers |-> <<>>]
  /\ session = [x \in Sessions |-> Fresh]
  /\ R = [s \in Servers |-> Zero]
  /\ E = [s \in Servers |-> Zero]
  /\ S = [s \in Servers |-> Zero]
  /\ unsent = [s \in Servers |-> <<>>]
  /\ sent = [s \in Servers |-> <<>>]
  /\ wire = [s \in Servers |-> <<>>]
  /\ marked = [s \in Servers |-> Zero]
  /\ begun = [s \in Servers |-> 0]

(***************************************************************************)
(* What goes round is a version, or a mark, the second traversal of one.   *)
(***************************************************************************)
Entry(kind, d) == [kind |-> kind, dot |-> d]

Lacks(r, m, e) == IF e.kind = "version" THEN ~Covers(r, e.dot) ELSE ~Covers(m, e.dot)

Pending(log, v) == SelectSeq(log, LAMBDA e : ~Covers(v, e.dot))

(***************************************************************************)
(* The carrying variant is here to be compared.  S is all of E; instead, a *)
(* version brings along its session's own writes in flight, and shows them *)
(* when it is shown.                                                       *)
(***************************************************************************)
Carrying == Propagation = "carrying"

Carried(d) == IF Carrying THEN Version(d).deps ELSE {}

Visible(v) == Covered(v) \cup UNION {Carried(d) : d \in Covered(v)}

VisiblePart(v) == IF Carrying \/ Has("unclosed-stability") THEN v ELSE Closure(v)

\* Server s knows that all of v is everywhere: S follows, and what v covers need not
\* be sent.  New entries are to be passed on.
Know(s, v, new) ==
  /\ E' = [E EXCEPT ![s] = v]
  /\ S' = [S EXCEPT ![s] = VisiblePart(v)]
  /\ unsent' = [unsent EXCEPT ![s] = Pending(@ \o new, v)]
  /\ sent' = [sent EXCEPT ![s] = Pending(@, v)]

(***************************************************************************)
(* Hybrid time.  A server's clock is the highest time that it has          *)
(* received, a context's the highest time that it has met.  A wall clock   *)
(* may push either up: a write takes any time above both.                  *)
(***************************************************************************)
Highest(ts) == IF ts = {} THEN 0 ELSE CHOOSE t \in ts : \A u \in ts : u <= t

Clock(s) ==
  Highest({Version(d).time : d \in IF Has("time-on-integration")
                                   THEN Covered(S[s]) \cup {<<s, c>> : c \in 1 .. R[s][s]}
                                   ELSE Covered(R[s])})

ContextTime(x) ==
  IF Has("time-on-integration") THEN 0 ELSE Highest({Version(d).time : d \in session[x].past})

----------------------------------------------------------------------------
\* Sessions.

\* The S of s once it has adopted the context of x.
Adopted(x, s) == VisiblePart(Join(E[s], session[x].D))

Drop(c, v) == IF Has("hoard-own-writes") THEN c ELSE [c EXCEPT !.own = Uncovered(@, v)]

Unasked(x, k) == Has("own-write-unasked") /\ OfKey(session[x].own, k) # {}

\* What x is given when it reads k at s.
Answer(x, s, k) ==
  LET own   == session[x].own
      v     == Adopted(x, s)
      shown == IF Has("stale-value") THEN S[s] ELSE v
  IN  IF Unasked(x, k)
      THEN Top(own, k)
      ELSE Overlay(Visible(shown), Uncovered(own, v), k)

Reply(x, s, d) ==
  LET c == session[x] IN
  Drop([c EXCEPT !.D = Adopted(x, s), !.past = @ \cup WithPast(d)], Adopted(x, s))

\* All of D is everywhere, so s comes to know it.
Adopt(x, s, new) ==
  /\ AtMost(session[x].D, R[s])
  /\ Know(s, Join(E[s], session[x].D), new)

Read(x, s, k) ==
  /\ ~Unasked(x, k)
  /\ Adopt(x, s, <<>>)
  /\ session' = [session EXCEPT ![x] = Reply(x, s, Answer(x, s, k))]
  /\ UNCHANGED <<written, R, wire, marked, begun>>

\* A reply that brings S alone, and that a write's is when it comes late.
Sync(x, s) ==
  /\ Adopt(x, s, <<>>)
  /\ session' = [session EXCEPT ![x] = Reply(x, s, None)]
  /\ UNCHANGED <<written, R, wire, marked, begun>>

\* The highest dot of each origin among ds.
Frontier(ds) == {d \in ds : \A e \in ds : e[1] = d[1] => e[2] <= d[2]}

Write(x, s, k, t) ==
  LET d    == <<s, R[s][s] + 1>>
      own  == Uncovered(session[x].own, Adopted(x, s))
      deps == IF Carrying /\ ~Has("carry-latest") THEN own ELSE Frontier(own)
      v    == [key |-> k, time |-> t, deps |-> deps, past |-> session[x].past]
  IN  /\ t > Clock(s) /\ t > ContextTime(x)
      /\ Adopt(x, s, <<Entry("version", d)>>)
      /\ written' = [written EXCEPT ![s] = Append(@, v)]
      /\ R' = [R EXCEPT ![s][s] = @ + 1]
      /\ session' = [session EXCEPT ![x] = Wrote(Reply(x, s, None), d)]
      /\ UNCHANGED <<wire, marked, begun>>

Joins(x, y) == Merge(x, y) /\ UNCHANGED <<written, wire, servers>>

----------------------------------------------------------------------------
\* Links.

\* The next message to the successor.  With every message travels E.
Send(s) ==
  /\ unsent[s] # <<>>
  /\ Len(wire[s]) < Window
  /\ wire' = [wire EXCEPT ![s] = Append(@, [entry |-> Head(unsent[s]), E |-> E[s]])]
  /\ unsent' = [unsent EXCEPT ![s] = Tail(@)]
  /\ sent' = IF Has("forget-sent") THEN sent ELSE [sent EXCEPT ![s] = Append(@, Head(unsent[s]))]
  /\ UNCHANGED <<written, session, R, E, S, marked, begun>>

\* The link from s is lost, with what is on it, and set up anew: s goes on behind
\* what its successor has stated, perhaps a while ago, that it had.
Resync(s, r, m) ==
  /\ AtMost(r, R[Succ(s)]) /\ AtMost(m, marked[Succ(s)])
  /\ wire' = [wire EXCEPT ![s] = <<>>]
  /\ IF Has("no-resync")
     THEN UNCHANGED <<sent, unsent>>
     ELSE /\ unsent' = [unsent EXCEPT ![s] = SelectSeq(sent[s] \o @, LAMBDA e : Lacks(r, m, e))]
          /\ sent' = [sent EXCEPT ![s] = <<>>]
  /\ UNCHANGED <<written, session, R, E, S, marked, begun>>

Loses(s) ==
  \E r \in Between(Zero, R[Succ(s)]), m \in Between(Zero, marked[Succ(s)]) : Resync(s, r, m)

\* What t does with a message: first it learns what its predecessor knew.
Take(t, v, new) ==
  /\ AtMost(v, R[t])
  /\ Know(t, IF Has("integrate-when-asked") \/ Has("bare-versions") THEN E[t] ELSE Join(E[t], v), new)
  /\ wire' = [wire EXCEPT ![Pred(t)] = Tail(@)]

Incoming(t) == wire[Pred(t)] # <<>>
Message(t)  == Head(wire[Pred(t)])

\* The next version of a traversal.  A duplicate is dropped; a gap is impossible.
Receive(t) ==
  /\ Incoming(t) /\ Message(t).entry.kind = "version"
  /\ LET d == Message(t).entry.dot
         r == [R[t] EXCEPT ![d[1]] = d[2]]
         seen == {e \in Carried(d) : e[2] = r[e[1]] + 1}
     IN  IF d[2] <= R[t][d[1]]
         THEN Take(t, Message(t).E, <<>>) /\ UNCHANGED R
         ELSE /\ d[2] = R[t][d[1]] + 1
              /\ Take(t, Message(t).E, IF d[1] = Succ(t) THEN <<>> ELSE <<Message(t).entry>>)
              /\ R' = [R EXCEPT ![t] = IF Has("arrived-otherwise")
                                       THEN [i \in Servers |-> IF <<i, r[i] + 1>> \in seen THEN r[i] + 1 ELSE r[i]]
                                       ELSE r]
  /\ UNCHANGED <<written, session, marked, begun>>

\* Word of E by any other way: a heartbeat, a miss, a reply.  It may bring less
\* than anybody knows by now.
Learn(t, v) ==
  /\ ~Has("integrate-when-asked")
  /\ AtMost(E[t], v) /\ AtMost(v, R[t])
  /\ \A i \in Servers : \E s \in Servers : v[i] <= E[s][i]
  /\ Know(t, v, <<>>)
  /\ UNCHANGED <<written, session, R, wire, marked, begun>>

----------------------------------------------------------------------------
\* The ends of traversals.  Those of origin Succ(t) end at t.

\* Two-round: t sends a mark behind the versions that have come to their end here.
EndFirstRound(t) ==
  LET i == Succ(t) IN
  /\ Propagation = "two-round"
  /\ R[t][i] > begun[t]
  /\ begun' = [begun EXCEPT ![t] = R[t][i]]
  /\ unsent' = [unsent EXCEPT ![t] = Pending(Append(@, Entry("mark", <<i, R[t][i]>>)), E[t])]
  /\ UNCHANGED <<written, session, R, E, S, wire, sent, marked>>

\* A mark goes round until it is back.
PassMark(t) ==
  /\ Incoming(t) /\ Message(t).entry.kind = "mark"
  /\ LET d == Message(t).entry.dot
     IN  IF d[2] <= marked[t][d[1]]
         THEN Take(t, Message(t).E, <<>>) /\ UNCHANGED marked
         ELSE /\ d[2] <= R[t][d[1]]
              /\ Take(t, Message(t).E, IF d[1] = Succ(t) THEN <<>> ELSE <<Message(t).entry>>)
              /\ marked' = [marked EXCEPT ![t][d[1]] = d[2]]
  /\ UNCHANGED <<written, session, R, begun>>

\* What has come round is everywhere: once, or twice with all that it depends on.
End(t) ==
  LET i == Succ(t)
      d == <<i, E[t][i] + 1>>
      v == IF Propagation = "two-round" THEN With(E[t], {d}) ELSE [E[t] EXCEPT ![i] = R[t][i]]
  IN  /\ E[t][i] < (IF Propagation = "two-round" THEN marked[t][i] ELSE R[t][i])
      /\ AtMost(v, R[t])
      /\ Know(t, v, <<>>)
      /\ UNCHANGED <<written, session, R, wire, marked, begun>>

----------------------------------------------------------------------------
\* Word of one more version of origin i reaches s: the least that a message can bring.
Hear(s, i) == Learn(s, [E[s] EXCEPT ![i] = @ + 1])

Next ==
  \/ \E s \in Servers :
       \/ Send(s) \/ Receive(s) \/ EndFirstRound(s) \/ PassMark(s) \/ End(s)
       \/ \E v \in Between(E[s], R[s]) : Learn(s, v)
       \/ Loses(s)
       \/ \E x \in Sessions, k \in Keys : Read(x, s, k) \/ \E t \in Times : Write(x, s, k, t)
       \/ \E x \in Sessions : Sync(x, s)
  \/ \E x, y \in Sessions : Joins(x, y)

Spec == Init /\ [][Next]_vars

(***************************************************************************)
(* For what happens at last: servers go on, links bring what is on them,   *)
(* and word of E gets about.  Nobody has to read or write.                 *)
(***************************************************************************)
Fairness ==
  \A s \in Servers :
    /\ WF_vars(Send(s)) /\ WF_vars(Receive(s)) /\ WF_vars(PassMark(s))
    /\ WF_vars(EndFirstRound(s)) /\ WF_vars(End(s))
    /\ WF_vars(\E i \in Servers : Hear(s, i))

----------------------------------------------------------------------------
\* What holds.

TypeOK ==
  /\ \A s \in Servers : AtMost(S[s], E[s]) /\ AtMost(E[s], R[s])
  /\ \A s \in Servers : R[s][s] = Len(written[s])

\* Nothing is called everywhere that is not.
EIsTrue == \A s, t \in Servers : AtMost(E[s], R[t])

\* S is a causal snapshot: closed under the whole past, not only under deps.
SIsClosed == \A s \in Servers : Snapshot(S[s])

VisibleIsCut == \A s \in Servers : IsCut([k \in Keys |-> Top(Visible(S[s]), k)])

\* No server lacks what a context knows: there is nothing to wait for.
NobodyIsRefused == \A x \in Sessions, s \in Servers : AtMost(session[x].D, R[s])

\* Whatever a session would read next, wherever it is, and together.
Answers(x, s) == [k \in Keys |-> Answer(x, s, k)]
ReadsRespectPast == \A x \in Sessions, s \in Servers : RespectsPast(session[x], Answers(x, s))
TransactionsAreCuts == \A x \in Sessions, s \in Servers : IsCut(Answers(x, s))

\* A context holds what is in flight, and no more.
ContextsAreSmall == \A x \in Sessions : \A d \in session[x].own : ~Covers(session[x].D, d)

\* Why deps suffice: what a version's session has read, S covers wherever it comes.
PastIsKnown ==
  Carrying \/ \A t \in Servers : \A d \in Covered(R[t]) \ Covered(S[t]) : HasPast(d, With(S[t], {d}))

\* What a successor lacks is on its way, or waits.
NothingIsLost ==
  \A s \in Servers : \A d \in Covered(R[s]) \ Covered(R[Succ(s)]) :
    \/ \E j \in 1 .. Len(unsent[s]) : unsent[s][j] = Entry("version", d)
    \/ \E j \in 1 .. Len(wire[s]) : wire[s][j].entry = Entry("version", d)

Refined == INSTANCE Stable
Refines == Refined!Spec

\* When writes stop (MaxWrites sees to that), and links hold at last, everything becomes
\* visible everywhere and nothing is left to send.
Rest == \A s \in Servers : S[s] = [i \in Servers |-> Len(written[i])] /\ unsent[s] = <<>> /\ wire[s] = <<>>
LinksHold == <>[][\A s \in Servers : ~Loses(s)]_vars
ComesToRest == LinksHold => <>[]Rest
=============================================================================
