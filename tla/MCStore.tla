------------------------------- MODULE MCStore ------------------------------
(***************************************************************************)
(* Bounds for TLC; step tells what was done last (see MCRing).  Keys are   *)
(* strings here, since MCHome and LateWrite name them.                     *)
(***************************************************************************)
EXTENDS Store, TLC

CONSTANTS MaxWrites, HomeOfAll,
          MayWrite(_, _, _), \* which server may write which key at which time
          Calm \* nothing is deleted and nothing fails

VARIABLE step

\* Server 0 is the home of k1; of the other keys, too, or not.
MCHome(k) == IF HomeOfAll \/ k = "k1" THEN 0 ELSE 1

AnyWrite(i, k, t) == TRUE

\* One version of each key, of which k1's is the lower: if it comes late, it is late only
\* because of what was forgotten of the other key.
LateWrite(i, k, t) == <<i, k, t>> \in {<<0, "k2", 2>>, <<1, "k1", 1>>}

MCInit == Init /\ step = <<>>

RECURSIVE Sum(_)
Sum(i) == IF i = N THEN 0 ELSE Len(written[i]) + Sum(i + 1)

MCNext ==
  \/ \E i \in Servers, k \in Keys, t \in Times, gone \in IF Calm THEN {FALSE} ELSE BOOLEAN :
       Sum(0) < MaxWrites /\ MayWrite(i, k, t) /\ Write(i, k, t, gone) /\ step' = <<"Write", i, k, t, IF gone THEN "tombstone" ELSE "value">>
  \/ \E i \in Servers : Spread(i) /\ step' = <<"Spread", i>>
  \/ \E s, i \in Servers : Raise(s, [S[s] EXCEPT ![i] = @ + 1]) /\ step' = <<"Raise", s, i>>
  \/ \E s \in Servers, k \in Keys :
       \/ Evict(s, k)         /\ step' = <<"Evict", s, k>>
       \/ Miss(s, k)          /\ step' = <<"Miss", s, k>>
       \/ LearnFromMiss(s, k) /\ step' = <<"LearnFromMiss", s, k>>
       \/ ServeMiss(s, k)     /\ step' = <<"ServeMiss", Home(k), s, k>>
       \/ InstallMiss(s, k)   /\ step' = <<"InstallMiss", s, k>>
       \/ Loaded(s, k)        /\ step' = <<"Loaded", s, k>>
       \/ ~Calm /\ LoadFails(s, k) /\ step' = <<"LoadFails", s, k>>
       \/ AssumeAbsent(s, k)  /\ step' = <<"AssumeAbsent", s, k>>
       \/ TakePiece(s, k)     /\ step' = <<"TakePiece", s, k>>
  \/ \E k \in Keys :
       \/ Lookup(k)     /\ step' = <<"Lookup", k>>
       \/ Flush(k)      /\ step' = <<"Flush", k>>
       \/ Flushed(k)    /\ step' = <<"Flushed", k>>
       \/ ~Calm /\ FlushFails(k) /\ step' = <<"FlushFails", k>>
       \/ Purge(k)      /\ step' = <<"Purge", k>>
       \/ \E d \in requests[k] : StoreUpwards(k, d) /\ step' = <<"StoreUpwards", k, d>>
  \/ \E h \in Servers : Announce(h) /\ step' = <<"Announce", h>>

MCSpec == MCInit /\ [][MCNext]_<<vars, step>>

View == vars
=============================================================================
