----------------------------- MODULE StoreTrace -----------------------------
(***************************************************************************)
(* The model against the code: StoreTraces is written by the simulator     *)
(* (go run ./causal/sim/simulate -tla DIR) and has, step by step, what the *)
(* servers of its runs and their database did, in the words of Store.      *)
(* Each step has to be one that Store's own action allows, and has to lead *)
(* to what could be seen of the code.  A trace that cannot go on is a      *)
(* deadlock.  Mutants are as in RingTrace.                                 *)
(***************************************************************************)
EXTENDS Store, StoreTraces

VARIABLES
  trace,  \* which of Traces
  at,     \* the step that is next
  mutant  \* which of Mutants; 0: none

position == <<trace, at, mutant>>

\* What the runs have for constants.
TraceHome(k)  == HomeOf[k]
TraceShard(k) == ShardOf[k]

TraceInit ==
  /\ trace \in DOMAIN Traces
  /\ at = 1
  /\ mutant = 0
  /\ Start(Left[trace])

MutantInit ==
  /\ mutant \in DOMAIN Mutants
  /\ trace = Mutants[mutant].trace
  /\ at = 1
  /\ Start(Left[trace])

AtMutant == mutant # 0 /\ at = Mutants[mutant].at
Ended == at > Len(Traces[trace].events)

Event == IF AtMutant THEN Mutants[mutant].event ELSE Traces[trace].events[at]

\* Vectors are written as tuples, which count from 1.
Vector(q) == [i \in Servers |-> q[i + 1]]

Says(e, field) == field \in DOMAIN e

----------------------------------------------------------------------------
\* A read takes what is shown: Store needs no action for that.
Read(s, k) ==
  /\ table[s][k].complete
  /\ UNCHANGED vars

\* Store's action, with what the step says of it.
Act(e) ==
  CASE e.do = "Write" ->
         /\ Write(e.s, e.k, e.time, e.tombstone)
         /\ e.dot = <<e.s, Len(written'[e.s])>>
    [] e.do = "Spread" -> Spread(e.i)
    [] e.do = "Raise" -> Raise(e.s, Vector(e.v))
    [] e.do = "Evict" -> Evict(e.s, e.k)
    [] e.do = "Miss" -> Miss(e.s, e.k)
    [] e.do = "ServeMiss" ->
         /\ e.s = Home(e.k)
         /\ ServeMiss(e.asker, e.k)
         /\ asked'[e.asker][e.k].dot = e.dot
    [] e.do = "InstallMiss" -> InstallMiss(e.s, e.k)
    [] e.do = "Lookup" ->
         /\ e.s = Home(e.k)
         /\ Lookup(e.k)
         /\ asked'[e.s][e.k].dot = e.dot
    [] e.do = "Loaded" -> Loaded(e.s, e.k)
    [] e.do = "LoadFails" -> LoadFails(e.s, e.k)
    [] e.do = "Flush" ->
         /\ e.s = Home(e.k)
         /\ Flush(e.k)
         /\ flushing'[e.k] = e.dot
    [] e.do = "StoreUpwards" ->
         /\ StoreUpwards(e.k, e.dot)
         /\ db'[e.k] = e.db
    [] e.do = "Flushed" -> Flushed(e.k)
    [] e.do = "FlushFails" -> FlushFails(e.k)
    [] e.do = "Announce" ->
         /\ Announce(e.s)
         /\ F'[e.s] = Vector(e.F)
    [] e.do = "Purge" -> Purge(e.k)
    [] e.do = "Read" ->
         /\ Read(e.s, e.k)
         /\ table[e.s][e.k].dot = e.dot

\* What can be seen of the server then: S, its entries, and for the keys whose home it
\* is what the database may lack and what is on its way there.
Leads(e) ==
  Says(e, "S") =>
    /\ S'[e.s] = Vector(e.S)
    /\ \A k \in Keys :
         /\ table'[e.s][k] = LET row == e.table[k] IN Entry(<<row[1], row[2]>>, row[3])
         /\ Home(k) = e.s => dirty'[k] = e.dirty[k] /\ requests'[k] = e.requests[k]

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
