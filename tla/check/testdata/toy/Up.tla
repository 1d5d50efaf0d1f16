--------------------------------- MODULE Up ---------------------------------
EXTENDS Naturals
CONSTANTS from, by
VARIABLE n
Init == n = from
Next == n' = n + by
Spec == Init /\ [][Next]_n
=============================================================================
