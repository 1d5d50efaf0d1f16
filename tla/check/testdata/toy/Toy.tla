-------------------------------- MODULE Toy --------------------------------
(* Something for TLC to say all that it can say about. *)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS Keys, Max, Bad

VARIABLES n, R, log, seen, step

vars == <<n, R, log, seen>>
all == <<n, R, log, seen, step>>

Init ==
  /\ n = 0
  /\ R = [i \in 0 .. 2 |-> [j \in 0 .. 2 |-> 0]]
  /\ log = <<>>
  /\ seen = [k \in Keys |-> {}]
  /\ step = <<>>

Put(i, k) ==
  /\ n < Max
  /\ n' = n + 1
  /\ R' = [R EXCEPT ![i][i] = @ + 1]
  /\ log' = Append(log, [key |-> k, at |-> <<i, R[i][i] + 1>>, deps |-> {<<i, 0>>}, last |-> TRUE])
  /\ seen' = [seen EXCEPT ![k] = @ \cup {<<i, R[i][i] + 1>>}]
  /\ step' = <<"Put", i, k>>

Back ==
  /\ Bad = "back" /\ n = 2
  /\ n' = 1
  /\ R' = [i \in 0 .. 2 |-> [j \in 0 .. 2 |-> IF i = 0 /\ j = 0 THEN 1 ELSE 0]]
  /\ log' = <<Head(log)>>
  /\ seen' = [k \in Keys |-> {log[1].at}]
  /\ step' = <<"Back">>

Broken ==
  /\ Bad = "eval" /\ n = 2
  /\ n' = log[7].at[1]
  /\ UNCHANGED <<R, log, seen>>
  /\ step' = <<"Broken">>

Incomplete ==
  /\ Bad = "incomplete" /\ n = 2
  /\ n' = 3
  /\ UNCHANGED <<R, log>>
  /\ step' = <<"Incomplete">>

Asserted ==
  /\ Bad = "assert" /\ n = 2
  /\ Assert(FALSE, "an assertion")
  /\ n' = 3
  /\ UNCHANGED <<R, log, seen>>
  /\ step' = <<"Asserted">>

Next == (\E i \in 0 .. 2, k \in Keys : Put(i, k)) \/ Back \/ Broken \/ Incomplete \/ Asserted

Spec == Init /\ [][Next]_all
FairSpec == Spec /\ WF_vars(Next)

ASSUME Max < 7

Fine == n <= Max
Small == n < 2
SmallAtFirst == n # 0
Ill == log[1].key = "x"
Deep[i \in Nat] == IF i = 0 THEN 0 ELSE 1 + Deep[i - 1]
Overflows == n < 3 \/ Deep[100000] > 0

Grows == [][n' >= n]_n
StartsAtOne == n = 1
Never == [](n < 2)
Mixed == [](n < 2) /\ Grows
Arrives == <>(n = Max)
Stays == <>[](n = Max)
Responds == (n = 1) ~> (n = 5)

One == INSTANCE Up WITH from <- 0, by <- 1
Two == INSTANCE Up WITH from <- 0, by <- 2
Later == INSTANCE Up WITH from <- 1, by <- 1
ByOne == One!Spec
ByTwo == Two!Spec
FromOne == Later!Spec
View == vars
Symmetric == Permutations(Keys)
=============================================================================
