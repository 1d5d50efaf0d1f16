----------------------------- MODULE RingTrace ------------------------------
(***************************************************************************)
(* The model against the code: RingTraces is written by the simulator      *)
(* (go run ./causal/sim/simulate -tla DIR) and has, step by step, what the *)
(* servers and sessions of its runs did, in the words of Ring.  Each step  *)
(* has to be one that Ring's own action allows, and has to lead to the     *)
(* state in which the code was.  A trace that cannot go on is a deadlock:  *)
(* the last state then says which trace it is, and which of its steps is   *)
(* refused; RingTraces numbers them.                                       *)
(*                                                                         *)
(* Mutants are steps that are wrong, each to be taken instead of one of a  *)
(* good trace.  None may be possible.  That it is offered at all is sure:  *)
(* a trace that does not even get there would be a deadlock, too.          *)
(***************************************************************************)
EXTENDS Ring, RingTraces

VARIABLES
  trace,  \* which of Traces
  at,     \* the step that is next
  mutant  \* which of Mutants; 0: none

position == <<trace, at, mutant>>

TraceSessions == 1 .. MostSessions

OfMode(j) == Traces[j].propagation = Propagation

TraceInit ==
  /\ Init
  /\ trace \in {j \in DOMAIN Traces : OfMode(j)}
  /\ at = 1
  /\ mutant = 0

MutantInit ==
  /\ Init
  /\ mutant \in {m \in DOMAIN Mutants : OfMode(Mutants[m].trace)}
  /\ trace = Mutants[mutant].trace
  /\ at = 1

AtMutant == mutant # 0 /\ at = Mutants[mutant].at
Ended == at > Len(Traces[trace].events)

Event == IF AtMutant THEN Mutants[mutant].event ELSE Traces[trace].events[at]

\* Vectors are written as tuples, which count from 1.
Vector(q) == [i \in Servers |-> q[i + 1]]

Said(e, field, what) == IF field \in DOMAIN e THEN what ELSE TRUE

----------------------------------------------------------------------------
\* Ring's action, with what the step says of it.
Act(e) ==
  CASE e.do = "Read" ->
         /\ Answer(e.x, e.s, e.k) = e.dot
         /\ Read(e.x, e.s, e.k)
    [] e.do = "Sync" -> Sync(e.x, e.s)
    [] e.do = "Write" ->
         /\ Write(e.x, e.s, e.k, e.time)
         /\ e.dot = <<e.s, Len(written'[e.s])>>
         /\ written'[e.s][e.dot[2]].deps = e.deps
    [] e.do = "Joins" -> Joins(e.x, e.y)
    [] e.do = "Send" ->
         /\ Send(e.s)
         /\ Head(unsent[e.s]) = Entry(IF e.mark THEN "mark" ELSE "version", e.dot)
    [] e.do = "Receive" ->
         /\ Receive(e.s)
         /\ Message(e.s).entry.dot = e.dot
    [] e.do = "PassMark" ->
         /\ PassMark(e.s)
         /\ Message(e.s).entry.dot = e.dot
    [] e.do = "EndFirstRound" ->
         /\ EndFirstRound(e.s)
         /\ e.dot = <<Succ(e.s), begun'[e.s]>>
    [] e.do = "End" -> End(e.s)
    [] e.do = "Learn" -> Learn(e.s, Vector(e.v))
    [] e.do = "Resync" -> Resync(e.s, Vector(e.r), Vector(e.m))

\* The state to which it has led, of the server and of the session.
Leads(e) ==
  /\ Said(e, "R", R'[e.s] = Vector(e.R) /\ E'[e.s] = Vector(e.E) /\ S'[e.s] = Vector(e.S))
  /\ Said(e, "D", session'[e.x].D = Vector(e.D) /\ session'[e.x].own = e.own)

TraceNext ==
  \/ /\ ~Ended
     /\ Act(Event) /\ Leads(Event)
     /\ at' = at + 1
     /\ UNCHANGED <<trace, mutant>>
  \/ Ended /\ UNCHANGED <<vars, position>>
  \/ AtMutant /\ UNCHANGED <<vars, position>>

TraceSpec == TraceInit /\ [][TraceNext]_<<vars, position>>
MutantSpec == MutantInit /\ [][TraceNext]_<<vars, position>>

NoMutantIsTaken == mutant # 0 => at <= Mutants[mutant].at
=============================================================================
