-------------------------------- MODULE Odd --------------------------------
(* All sorts of values. *)
EXTENDS Integers, Sequences, TLC
CONSTANT M
VARIABLE a
Init ==
  a = [negative |-> -3, model |-> M, text |-> "a \"q\" \\ b\n<<x>> /\\ c = d", empty |-> {},
       interval |-> 0 .. 2, long |-> -1 .. 4, tuple |-> [x \in {1, 2} |-> x], subsets |-> SUBSET {1, 2},
       functions |-> [{1} -> {TRUE, FALSE}], dots |-> [x \in {<<1, 2>>, <<0, 10>>, <<0, 9>>} |-> {x}],
       record |-> [x \in {"p", "q"} |-> TRUE], one |-> (0 :> "z"), nothing |-> [x \in {} |-> 1],
       wide |-> [j \in 0 .. 12 |-> "abcdefgh"], nested |-> <<<<>>, <<1, <<2>>>>>>, words |-> {"zz", "b", "a"}]
Next == a' = [a EXCEPT !.negative = -4]
Fine == a.negative = -3
=============================================================================
