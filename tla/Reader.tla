------------------------------- MODULE Reader -------------------------------
(***************************************************************************)
(* Readers beside the writer (../docs/protocol.md, section 5): another     *)
(* thread or process reads the table of a server while the server goes on. *)
(*                                                                         *)
(* The writer raises S in steps: it puts values one by one, in any order,  *)
(* and publishes the S that covers them at the end.  It may forget an      *)
(* entry and load it again.  A reader loads the published S first, then    *)
(* one slot after the other.  Reading a slot is one access here: a         *)
(* sequence lock makes it one.                                             *)
(***************************************************************************)
EXTENDS Versions

CONSTANTS Times, Defects

VARIABLES
  everywhere, \* how far S may rise
  S,          \* the writer's S, and in a step the one that it goes for
  todo,       \* in a step: the versions that have still to be put
  working,    \* whether the writer is in a step
  slot,       \* what the table holds of each key; Missing also if it is incomplete
  evicted,    \* of each shard: the highest version that was forgotten
  published,  \* the S that readers see
  reader      \* the read of some keys that is under way

writer == <<everywhere, S, todo, working, slot, evicted, published>>
vars == <<written, writer, reader>>

Has(defect) == defect \in Defects

Missing == <<N, 0>> \* no dot
Idle == [stage |-> "idle"]

Shard(k) == 0 \* as in Store
Shards == {Shard(k) : k \in Keys}

Init ==
  /\ written = [i \in Servers |-> <<>>]
  /\ everywhere = Zero
  /\ S = Zero
  /\ todo = {}
  /\ working = FALSE
  /\ slot = [k \in Keys |-> Missing]
  /\ evicted = [x \in Shards |-> None]
  /\ published = Zero
  /\ reader = Idle

\* The ring: a version of origin i, of key k, is everywhere.
Write(i, k, t) ==
  /\ \A c \in 1 .. Len(written[i]) : written[i][c].time < t
  /\ written' = [written EXCEPT ![i] = Append(@, [key |-> k, time |-> t])]
  /\ everywhere' = [everywhere EXCEPT ![i] = @ + 1]
  /\ UNCHANGED <<S, todo, working, slot, evicted, published, reader>>

----------------------------------------------------------------------------
\* The writer.

Begin(v) ==
  /\ ~working
  /\ AtMost(S, v) /\ AtMost(v, everywhere)
  /\ working' = TRUE
  /\ S' = v
  /\ todo' = Covered(v) \ Covered(S)
  /\ published' = IF Has("publish-early") THEN v ELSE published
  /\ UNCHANGED <<written, everywhere, slot, evicted, reader>>

Put(d) ==
  /\ d \in todo
  /\ todo' = todo \ {d}
  /\ LET k == Version(d).key
     IN  slot' = [slot EXCEPT ![k] =
           IF @ # Missing THEN Higher(@, d)
           ELSE IF Lower(d, evicted[Shard(k)]) THEN Missing
           ELSE d]
  /\ UNCHANGED <<written, everywhere, S, working, evicted, published, reader>>

\* A miss is answered: with all that S covers, since the step has learned it first.
Load(k) ==
  /\ working /\ todo = {}
  /\ slot[k] = Missing
  /\ slot' = [slot EXCEPT ![k] = Top(Covered(S), k)]
  /\ UNCHANGED <<written, everywhere, S, todo, working, evicted, published, reader>>

Evict(k) ==
  /\ todo = {}
  /\ slot[k] # Missing
  /\ evicted' = [evicted EXCEPT ![Shard(k)] = Higher(@, slot[k])]
  /\ slot' = [slot EXCEPT ![k] = Missing]
  /\ UNCHANGED <<written, everywhere, S, todo, working, published, reader>>

Publish ==
  /\ working /\ todo = {}
  /\ working' = FALSE
  /\ published' = S
  /\ UNCHANGED <<written, everywhere, S, todo, slot, evicted, reader>>

----------------------------------------------------------------------------
\* The reader, of a session that knows D.  Where S does not cover D, or a slot holds
\* nothing, the server is asked: that is no direct read.

\* It wants the keys ks.
DirectLoadS(D, ks) ==
  /\ reader.stage \in {"idle", "done"}
  /\ AtMost(D, published)
  /\ reader' = [stage |-> "reading", D |-> D, S |-> published, keys |-> ks, got |-> <<>>]
  /\ UNCHANGED <<written, writer>>

\* What has been read: a function from some keys to dots.
DirectReadSlot(k) ==
  /\ reader.stage = "reading"
  /\ k \in reader.keys \ DOMAIN reader.got
  /\ LET d   == slot[k]
         got == [j \in DOMAIN reader.got \cup {k} |-> IF j = k THEN d ELSE reader.got[j]]
     IN  reader' = IF d = Missing THEN Idle
                   ELSE IF Covers(reader.S, d) \/ d = None \/ Has("unchecked-dot")
                   THEN [reader EXCEPT !.got = got,
                                       !.stage = IF DOMAIN got # reader.keys THEN "reading"
                                                 ELSE IF Has("absorb-later") THEN "absorbing" ELSE "done"]
                   ELSE Idle \* too new: once more, with a newer S
  /\ UNCHANGED <<written, writer>>

\* A slot can not be read now, such as one that is being written.
GiveUp ==
  /\ reader.stage = "reading"
  /\ reader' = Idle
  /\ UNCHANGED <<written, writer>>

\* The defect: an S that is loaded after the values.
AbsorbLater ==
  /\ reader.stage = "absorbing"
  /\ reader' = [reader EXCEPT !.stage = "done", !.S = published]
  /\ UNCHANGED <<written, writer>>

----------------------------------------------------------------------------
Next ==
  \/ \E i \in Servers, k \in Keys, t \in Times : Write(i, k, t)
  \/ \E v \in Between(S, everywhere) : Begin(v)
  \/ \E d \in todo : Put(d)
  \/ \E k \in Keys : Load(k) \/ Evict(k) \/ DirectReadSlot(k)
  \/ \E D \in Between(Zero, everywhere), ks \in SUBSET Keys \ {{}} : DirectLoadS(D, ks)
  \/ Publish \/ GiveUp \/ AbsorbLater

Spec == Init /\ [][Next]_vars

----------------------------------------------------------------------------
\* What holds.

TypeOK ==
  /\ AtMost(published, S) /\ AtMost(S, everywhere)
  /\ ~working => published = S /\ todo = {}

\* What the reader returns is the snapshot S, with that very S.
ReadIsSnapshot ==
  reader.stage = "done" => \A k \in reader.keys : reader.got[k] = Top(Covered(reader.S), k)

ReadCoversContext == reader.stage = "done" => AtMost(reader.D, reader.S)
=============================================================================
