package check_test

import (
	"fmt"

	"causalmesh/causal"
	"causalmesh/causal/check"
)

// A session replies to a message, and a third one reads the reply but not the
// message.
func Example() {
	const message, reply check.KeyID = 0, 1
	rec := check.NewRecorder([]string{"message", "reply"})

	ann := rec.Start("ann", 1)
	hello := ann.NewValue()
	stamp := causal.Stamp{Time: 100, Origin: 0}
	ann.Write(message, hello, check.Acknowledged, causal.Dot{Origin: 0, Counter: 1}, stamp)

	bob := rec.Start("bob", 1)
	bob.Read(check.Item{Key: message, Seen: check.SeenValue, Value: hello, Stamp: stamp})
	hi := bob.NewValue()
	later := causal.Stamp{Time: 101, Origin: 1}
	bob.Write(reply, hi, check.Acknowledged, causal.Dot{Origin: 1, Counter: 1}, later)

	eve := rec.Start("eve", 1)
	eve.Read(check.Item{Key: reply, Seen: check.SeenValue, Value: hi, Stamp: later})
	eve.Read(check.Item{Key: message, Seen: check.SeenNothing})

	report := check.Check(rec.History())
	for kind, n := range report.Counts {
		if n > 0 {
			fmt.Println(n, check.Kind(kind))
		}
	}
	fmt.Println(report.Violations[0].Place)
	// Output:
	// 1 stale read
	// {2 1 0}
}
