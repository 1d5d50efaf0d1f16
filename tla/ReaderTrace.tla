---------------------------- MODULE ReaderTrace -----------------------------
(***************************************************************************)
(* The model against the code: ReaderTraces is written by the simulator    *)
(* (go run ./causal/sim/simulate -tla DIR) and has, step by step, what the *)
(* writer of a table stored into it, and what a reader beside it found, in *)
(* the words of Reader.  Each step has to be one that Reader's own action  *)
(* allows, and has to lead to the table that others saw.  A trace that     *)
(* cannot go on is a deadlock.  Mutants are as in RingTrace.               *)
(***************************************************************************)
EXTENDS Reader, ReaderTraces

VARIABLES
  trace,  \* which of Traces
  at,     \* the step that is next
  mutant  \* which of Mutants; 0: none

position == <<trace, at, mutant>>

\* What the runs have for a constant.
TraceShard(k) == ShardOf[k]

TraceInit ==
  /\ Init
  /\ trace \in DOMAIN Traces
  /\ at = 1
  /\ mutant = 0

MutantInit ==
  /\ Init
  /\ mutant \in DOMAIN Mutants
  /\ trace = Mutants[mutant].trace
  /\ at = 1

AtMutant == mutant # 0 /\ at = Mutants[mutant].at
Ended == at > Len(Traces[trace].events)

Event == IF AtMutant THEN Mutants[mutant].event ELSE Traces[trace].events[at]

\* Vectors are written as tuples, which count from 1.
Vector(q) == [i \in Servers |-> q[i + 1]]

Says(e, field) == field \in DOMAIN e

----------------------------------------------------------------------------
\* Reader's action, with what the step says of it.
Act(e) ==
  CASE e.do = "Write" ->
         /\ Write(e.dot[1], e.k, e.time)
         /\ e.dot[2] = Len(written'[e.dot[1]])
    [] e.do = "Begin" -> Begin(Vector(e.v))
    [] e.do = "Put" ->
         /\ Put(e.dot)
         /\ Version(e.dot).key = e.k
    [] e.do = "Load" -> Load(e.k)
    [] e.do = "Evict" -> Evict(e.k)
    [] e.do = "Publish" -> Publish
    [] e.do = "DirectLoadS" -> DirectLoadS(Vector(e.D), e.keys)
    [] e.do = "DirectReadSlot" ->
         /\ DirectReadSlot(e.k)
         /\ slot[e.k] = e.dot
    [] e.do = "GiveUp" -> GiveUp

\* The table that others see then, or how far the reader is.
Leads(e) ==
  /\ Says(e, "slot") =>
       /\ published' = Vector(e.published)
       /\ \A k \in Keys : slot'[k] = e.slot[k]
  /\ Says(e, "stage") =>
       /\ reader'.stage = e.stage
       /\ e.stage # "idle" => reader'.S = Vector(e.S) /\ reader'.got = e.got

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
