------------------------------- MODULE Store --------------------------------
(***************************************************************************)
(* The database below (../docs/protocol.md, section 4): homes, misses,     *)
(* flushes, eviction, late versions, tombstones, and a start on what an    *)
(* earlier life of the cluster has left.                                   *)
(*                                                                         *)
(* Of the ring only this is left: everywhere says what everyone has        *)
(* received, and a server's S may rise up to it at any time.  What the     *)
(* module has to show is that a complete entry of a server's table is      *)
(* always the key's highest version that S covers, as if nothing were ever *)
(* forgotten: then a read here is a read of Stable.                        *)
(*                                                                         *)
(* Origin N stands for earlier lives: their versions have lower stamps,    *)
(* are in the database at the start, and S covers them by definition.      *)
(***************************************************************************)
EXTENDS Versions

CONSTANTS
  Home(_), \* the server that alone reads a key from the database and writes it there
  OldTime, \* the highest time of an earlier life
  Times,   \* that stamps may take
  Defects

VARIABLES
  everywhere, \* what every server has received
  S,          \* of each server: what it shows
  table,      \* of each server: the entry of each key
  evicted,    \* of each server and shard: the highest version that it has forgotten
  asked,      \* of each server and key: the miss under way (none, asked or answered), with
              \* S, the asker's and then the answerer's; dot, the answer; knew, the asker's S
  db,         \* the database: of each key the dot that is stored
  purged,     \* the highest tombstone of each key that the database has dropped
  dirty,      \* at the key's home: the version that the database may lack
  flushing,   \* at the key's home: the flush whose outcome is awaited
  requests,   \* writes on their way to the database
  F,          \* of each home: what it has announced as flushed
  pieces      \* of each server: what a read of all keys has taken, and S then (see TakePiece)

store == <<db, purged, dirty, flushing, requests, F>>
caches == <<S, table, evicted, asked, pieces>>
vars == <<written, everywhere, store, caches>>

Has(defect) == defect \in Defects

Old(d) == d = None \/ d[1] = N

SCovers(v, d) == IF Old(d) THEN TRUE ELSE Covers(v, d)

Entry(d, complete) == [dot |-> d, complete |-> complete]
Missing == Entry(None, FALSE)
Absent  == Entry(None, TRUE)

NoMiss == [stage |-> "none"]
Waiting == <<N, 0>> \* no dot: the piece has not been taken

\* What was forgotten is noted for a whole shard of the keys. In models all keys are in
\* one, which makes the most versions late; a trace of the code has those of the code.
Shard(k) == 0
Shards == {Shard(k) : k \in Keys}

IsTombstone(d) == d # None /\ Version(d).tombstone

\* An earlier life has left these versions, one of a key.
Start(left) ==
  /\ written = [i \in Servers \cup {N} |-> IF i = N THEN left ELSE <<>>]
  /\ db = [k \in Keys |-> Top({<<N, c>> : c \in DOMAIN left}, k)]
  /\ everywhere = Zero
  /\ S = [s \in Servers |-> Zero]
  /\ table = [s \in Servers |-> [k \in Keys |-> Missing]]
  /\ evicted = [s \in Servers |-> [x \in Shards |-> None]]
  /\ asked = [s \in Servers |-> [k \in Keys |-> NoMiss]]
  /\ purged = [k \in Keys |-> None]
  /\ dirty = [k \in Keys |-> None]
  /\ flushing = [k \in Keys |-> None]
  /\ requests = [k \in Keys |-> {}]
  /\ F = [s \in Servers |-> Zero]
  /\ pieces = [s \in Servers |-> [S |-> Zero, got |-> [k \in Keys |-> Waiting]]]

\* Of each key nothing, a value, or a tombstone.
Init ==
  \E old \in [Keys -> {<<>>} \cup [time : 1 .. OldTime, tombstone : BOOLEAN]] :
    LET kept == {k \in Keys : old[k] # <<>>}
        list == CHOOSE q \in [1 .. Cardinality(kept) -> kept] : {q[j] : j \in DOMAIN q} = kept
    IN  Start([j \in DOMAIN list |->
                [key |-> list[j], time |-> old[list[j]].time, tombstone |-> old[list[j]].tombstone]])

----------------------------------------------------------------------------
\* The ring, as far as it matters here.

\* Server i makes a version: above all that earlier lives can have left, since
\* time goes on (see zero-clock), and above every tombstone, of any key, whose grace is
\* over: clocks are apart by less than that (an assumption).
Write(i, k, t, tombstone) ==
  /\ t > (IF Has("zero-clock") THEN 0 ELSE OldTime)
  /\ \A c \in 1 .. Len(written[i]) : written[i][c].time < t
  /\ \A j \in Keys : purged[j] # None => Version(purged[j]).time < t
  /\ written' = [written EXCEPT ![i] = Append(@, [key |-> k, time |-> t, tombstone |-> tombstone])]
  /\ UNCHANGED <<everywhere, store, caches>>

Spread(i) ==
  /\ everywhere[i] < Len(written[i])
  /\ everywhere' = [everywhere EXCEPT ![i] = @ + 1]
  /\ UNCHANGED <<written, store, caches>>

----------------------------------------------------------------------------
\* Tables.

\* The entry e of a server once the version d, which has just become visible, is in
\* it: a version below something that was forgotten may not be the newest.
Installed(e, d, high) ==
  LET late == Lower(d, high) /\ ~Has("forget-evicted")
  IN  CASE e = Missing         -> Entry(d, ~late)
        [] Lower(e.dot, d)     -> Entry(d, e.complete \/ ~late)
        [] OTHER               -> e

\* All that S covers beyond what it did, in some order.
RECURSIVE InstallAll(_, _, _)
InstallAll(row, ds, highs) ==
  IF ds = {} THEN row
  ELSE LET d == CHOOSE d \in ds : \A e \in ds : ~Lower(e, d)
           k == Version(d).key
       IN  InstallAll([row EXCEPT ![k] = Installed(@, d, highs[Shard(k)])], ds \ {d}, highs)

Row(s, v) == InstallAll(table[s], Covered(v) \ Covered(S[s]), evicted[s])

\* A home notes what the database may lack now.
Dirtied(s, row, old) ==
  [k \in Keys |-> IF Home(k) = s /\ row[k].dot # old[k].dot /\ ~Old(row[k].dot) THEN row[k].dot ELSE dirty[k]]

Raise(s, v) ==
  /\ AtMost(S[s], v) /\ AtMost(v, everywhere)
  /\ S' = [S EXCEPT ![s] = v]
  /\ table' = [table EXCEPT ![s] = Row(s, v)]
  /\ dirty' = Dirtied(s, Row(s, v), table[s])
  /\ UNCHANGED <<written, everywhere, evicted, asked, db, purged, flushing, requests, F, pieces>>

\* A server forgets what is in the database: the home knows of each of its keys
\* whether it is, the others know F.  Nobody forgets a key with a load under way.
MayEvict(s, k) ==
  LET d == table[s][k].dot IN
  /\ table[s][k] # Missing
  /\ Has("evict-busy") \/ asked[s][k] = NoMiss
  /\ CASE Has("evict-unflushed") -> TRUE
       [] Home(k) = s            -> dirty[k] = None
       [] Has("evict-without-f") -> TRUE \* is it needed? see models/StoreWithoutF.cfg
       [] OTHER                  -> SCovers(F[Home(k)], d)

Evict(s, k) ==
  /\ MayEvict(s, k)
  /\ evicted' = [evicted EXCEPT ![s][Shard(k)] = Higher(@, table[s][k].dot)]
  /\ table' = [table EXCEPT ![s][k] = Missing]
  /\ UNCHANGED <<written, everywhere, store, S, asked, pieces>>

----------------------------------------------------------------------------
\* Misses.

\* A server asks the key's home, with what it knows; a home asks the database.
Miss(s, k) ==
  /\ ~table[s][k].complete
  /\ asked[s][k] = NoMiss
  /\ asked' = [asked EXCEPT ![s][k] = [stage |-> "asked", S |-> S[s]]]
  /\ UNCHANGED <<written, everywhere, store, S, table, evicted, pieces>>

\* The miss reaches the home, which learns what the asker knew.
LearnFromMiss(s, k) ==
  LET h == Home(k) IN
  /\ h # s /\ asked[s][k].stage = "asked"
  /\ ~AtMost(asked[s][k].S, S[h]) /\ ~Has("miss-unlearned")
  /\ Raise(h, Join(S[h], asked[s][k].S))

ServeMiss(s, k) ==
  LET h == Home(k) IN
  /\ h # s /\ asked[s][k].stage = "asked"
  /\ Has("miss-unlearned") \/ AtMost(asked[s][k].S, S[h])
  /\ table[h][k].complete
  /\ asked' = [asked EXCEPT ![s][k] = [stage |-> "answered", S |-> S[h], dot |-> table[h][k].dot, knew |-> @.S]]
  /\ UNCHANGED <<written, everywhere, store, S, table, evicted, pieces>>

\* The database looks it up.
Lookup(k) ==
  LET h == Home(k) IN
  /\ asked[h][k].stage = "asked"
  /\ asked' = [asked EXCEPT ![h][k] = [stage |-> "answered", S |-> Zero, dot |-> db[k], knew |-> Zero]]
  /\ UNCHANGED <<written, everywhere, store, S, table, evicted, pieces>>

\* The entry e once the answer d to a miss that carried v is merged with it.  What the
\* asker had when it asked, the home knew when it answered: an incomplete entry gives
\* way even to something lower, which is what is left of a tombstone in the end.
Merged(e, d, v) ==
  IF \/ e = Missing
     \/ Lower(e.dot, d)
     \/ ~e.complete /\ SCovers(v, e.dot) /\ ~Has("answer-by-stamp")
  THEN Entry(d, TRUE) ELSE Entry(e.dot, TRUE)

\* The answer is merged with what has arrived meanwhile; who waited reads the
\* merged entry.  First of all the server learns what the home knew.
Answered(s, k) ==
  LET m   == asked[s][k]
      v   == IF Has("install-unadopted") THEN S[s] ELSE Join(S[s], m.S)
      row == [Row(s, v) EXCEPT ![k] = Merged(@, m.dot, m.knew)]
  IN  /\ m.stage = "answered"
      /\ S' = [S EXCEPT ![s] = v]
      /\ table' = [table EXCEPT ![s] = row]
      /\ dirty' = LET d == Dirtied(s, Row(s, v), table[s])
                  IN  IF Home(k) = s /\ d[k] # None /\ row[k].dot # d[k] /\ flushing[k] = None
                      THEN [d EXCEPT ![k] = None] ELSE d
      /\ asked' = [asked EXCEPT ![s][k] = NoMiss]
      /\ UNCHANGED <<written, everywhere, evicted, db, purged, flushing, requests, F, pieces>>

InstallMiss(s, k) == Home(k) # s /\ Answered(s, k)
Loaded(s, k)      == Home(k) = s /\ Answered(s, k)

\* No answer, or too late.
LoadFails(s, k) ==
  /\ asked[s][k] # NoMiss
  /\ asked' = [asked EXCEPT ![s][k] = NoMiss]
  /\ UNCHANGED <<written, everywhere, store, S, table, evicted, pieces>>

\* The defect: what is not cached is called absent.
AssumeAbsent(s, k) ==
  /\ Has("assume-preloaded")
  /\ table[s][k] = Missing
  /\ table' = [table EXCEPT ![s][k] = Absent]
  /\ UNCHANGED <<written, everywhere, store, S, evicted, asked, pieces>>

----------------------------------------------------------------------------
\* Flushes.

\* Only complete entries, one flush of a key at a time.
Flush(k) ==
  LET h == Home(k) IN
  /\ dirty[k] # None /\ flushing[k] = None
  /\ table[h][k].complete
  /\ flushing' = [flushing EXCEPT ![k] = dirty[k]]
  /\ requests' = [requests EXCEPT ![k] = @ \cup {dirty[k]}]
  /\ UNCHANGED <<written, everywhere, caches, db, purged, dirty, F>>

\* The database carries out a request: only upwards.
StoreUpwards(k, d) ==
  /\ d \in requests[k]
  /\ requests' = [requests EXCEPT ![k] = @ \ {d}]
  /\ db' = [db EXCEPT ![k] = IF Has("flush-downwards") THEN d ELSE Higher(@, d)]
  /\ UNCHANGED <<written, everywhere, caches, purged, dirty, flushing, F>>

\* The home hears of it.
Flushed(k) ==
  /\ flushing[k] # None /\ flushing[k] \notin requests[k]
  /\ flushing' = [flushing EXCEPT ![k] = None]
  /\ dirty' = [dirty EXCEPT ![k] = IF @ = flushing[k] THEN None ELSE @]
  /\ UNCHANGED <<written, everywhere, caches, db, purged, requests, F>>

\* It does not: that counts as not flushed, while the request may still be carried
\* out, or never.
FlushFails(k) ==
  /\ flushing[k] # None
  /\ flushing' = [flushing EXCEPT ![k] = None]
  /\ dirty' = IF Has("unknown-is-flushed") THEN [dirty EXCEPT ![k] = None] ELSE dirty
  /\ \E lost \in SUBSET {flushing[k]} : requests' = [requests EXCEPT ![k] = @ \ lost]
  /\ UNCHANGED <<written, everywhere, caches, db, purged, F>>

\* The home announces how far its keys are flushed: a prefix of each origin.
RECURSIVE FlushedPrefix(_, _, _)
FlushedPrefix(h, i, c) ==
  IF c < S[h][i] /\ \A k \in Keys : Home(k) = h => dirty[k] # <<i, c + 1>>
  THEN FlushedPrefix(h, i, c + 1) ELSE c

Announce(h) ==
  /\ F' = [F EXCEPT ![h] = [i \in Servers |-> Max(@[i], FlushedPrefix(h, i, 0))]]
  /\ F' # F
  /\ UNCHANGED <<written, everywhere, caches, db, purged, dirty, flushing, requests>>

\* The database drops a tombstone when its grace is over: nothing of the key is in
\* flight for so long: on the ring, in a flush, in a load, or waiting for one at the home.
Purge(k) ==
  LET d == db[k] IN
  /\ IsTombstone(d)
  /\ \/ Has("no-grace")
     \/ /\ \A s \in Servers : SCovers(S[s], d) /\ \A e \in OfKey(Dots, k) : Lower(e, d) => Covers(S[s], e)
        /\ \A e \in requests[k] : Lower(d, e)
        /\ \A s \in Servers : asked[s][k] = NoMiss
        /\ table[Home(k)][k] = Missing \/ table[Home(k)][k].complete
  /\ db' = [db EXCEPT ![k] = None]
  /\ purged' = [purged EXCEPT ![k] = Higher(@, d)]
  /\ UNCHANGED <<written, everywhere, caches, dirty, flushing, requests, F>>

----------------------------------------------------------------------------
\* A read of all keys is parked until all are complete and then takes them in one
\* step: it needs no state.  The defect takes each as it comes.
TakePiece(s, k) ==
  /\ Has("piecemeal-read-many")
  /\ table[s][k].complete /\ pieces[s].got[k] = Waiting
  /\ pieces' = [pieces EXCEPT ![s].got[k] = table[s][k].dot, ![s].S = S[s]]
  /\ UNCHANGED <<written, everywhere, store, S, table, evicted, asked>>

----------------------------------------------------------------------------
Next ==
  \/ \E i \in Servers, k \in Keys, t \in Times, gone \in BOOLEAN : Write(i, k, t, gone)
  \/ \E i \in Servers : Spread(i) \/ Announce(i)
  \/ \E s \in Servers, v \in Between(Zero, everywhere) : Raise(s, v)
  \/ \E s \in Servers, k \in Keys :
       \/ Evict(s, k) \/ Miss(s, k) \/ LearnFromMiss(s, k) \/ ServeMiss(s, k) \/ InstallMiss(s, k)
       \/ Loaded(s, k) \/ LoadFails(s, k) \/ AssumeAbsent(s, k) \/ TakePiece(s, k)
  \/ \E k \in Keys :
       \/ Lookup(k) \/ Flush(k) \/ Flushed(k) \/ FlushFails(k) \/ Purge(k)
       \/ \E d \in requests[k] : StoreUpwards(k, d)

Spec == Init /\ [][Next]_vars

----------------------------------------------------------------------------
\* What holds.

\* The highest version of k that v covers: what a server has to show.
Newest(v, k) ==
  LET old == {<<N, c>> : c \in 1 .. Len(written[N])} IN Top(Covered(v) \cup old, k)

\* A tombstone whose grace is over is as good as nothing.
Same(d, e) ==
  \/ d = e
  \/ /\ d = None
     /\ IsTombstone(e)
     /\ purged[Version(e).key] # None /\ ~Lower(purged[Version(e).key], e)

TypeOK ==
  /\ \A s \in Servers : AtMost(S[s], everywhere)
  /\ \A i \in Servers : everywhere[i] <= Len(written[i])

\* Eviction, flush and miss never show anything but the newest visible version.
CompleteIsNewest ==
  \A s \in Servers, k \in Keys : table[s][k].complete => Same(table[s][k].dot, Newest(S[s], k))

\* What is read of all keys together is the snapshot S that goes with it.
PiecesAreSnapshot ==
  \A s \in Servers :
    LET p == pieces[s]
    IN  (\A k \in Keys : p.got[k] # Waiting) => \A k \in Keys : Same(p.got[k], Newest(p.S, k))

\* A new write is above what an earlier life has left.
AboveEarlierLives ==
  \A d \in UNION {{<<i, c>> : c \in 1 .. Len(written[i])} : i \in Servers}, c \in 1 .. Len(written[N]) :
    Version(d).key = Version(<<N, c>>).key => Lower(<<N, c>>, d)

\* What the home has shown is in the database, or the home still has it.
NothingIsLost ==
  \A k \in Keys :
    LET newest == Newest(S[Home(k)], k)
    IN  \/ Same(db[k], newest)
        \/ dirty[k] = newest /\ table[Home(k)][k].dot = newest

\* The database holds only what is visible at the home.
OnlyVisibleIsFlushed == \A k \in Keys : SCovers(S[Home(k)], db[k])

\* What F covers is in the database, or superseded at the home.
FIsTrue ==
  \A k \in Keys, d \in Dots :
    LET h == Home(k) IN
    (~Old(d) /\ Version(d).key = k /\ Covers(F[h], d)) =>
      \/ ~Lower(db[k], d)
      \/ purged[k] # None /\ ~Lower(purged[k], d)
      \/ Lower(d, dirty[k])
=============================================================================
