package clientlib_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"causalmesh/clientlib"
	"causalmesh/clientlib/internal/testcluster"
)

// A workflow of two functions on two machines: the second sees what the first has
// written, although it asks another server.
func Example() {
	cluster, err := testcluster.Start(testcluster.Config{Replicas: 3}) // in real life: causalmeshd on each machine
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()

	upload := func(ctx context.Context, client *clientlib.Client) ([]byte, error) {
		session := client.Session()
		if err := session.Write(ctx, "review/17", []byte("a masterpiece")); err != nil {
			return nil, err
		}
		return session.Context(), nil
	}
	show := func(ctx context.Context, client *clientlib.Client, past []byte) error {
		session, err := client.Resume(past)
		if err != nil {
			return err
		}
		review, found, err := session.Read(ctx, "review/17")
		if err != nil {
			return err
		}
		fmt.Printf("at node %d: %q %v\n", client.Info().Node, review, found)
		return nil
	}

	ctx := context.Background()
	here, err := clientlib.Dial(ctx, cluster.Target(0))
	if err != nil {
		log.Fatal(err)
	}
	defer here.Close()
	there, err := clientlib.Dial(ctx, cluster.Target(2))
	if err != nil {
		log.Fatal(err)
	}
	defer there.Close()
	past, err := upload(ctx, here)
	if err != nil {
		log.Fatal(err)
	}
	if err := show(ctx, there, past); err != nil {
		log.Fatal(err)
	}
	// Output: at node 2: "a masterpiece" true
}

// exampleClients returns a client of each of three servers.
func exampleClients() (clients [3]*clientlib.Client, stop func()) {
	cluster, err := testcluster.Start(testcluster.Config{Replicas: 3})
	if err != nil {
		log.Fatal(err)
	}
	for node := range clients {
		clients[node], err = clientlib.Dial(context.Background(), cluster.Target(node))
		if err != nil {
			log.Fatal(err)
		}
	}
	return clients, func() {
		for _, c := range clients {
			_ = c.Close()
		}
		_ = cluster.Close()
	}
}

// Branches that run in parallel resume the same context. Who comes after them
// merges theirs, and sees what all of them have done.
func ExampleSession_Merge() {
	clients, stop := exampleClients()
	defer stop()
	ctx := context.Background()

	start := clients[0].Session()
	if err := start.Write(ctx, "review/17", []byte("draft")); err != nil {
		log.Fatal(err)
	}
	var branches [][]byte
	for i, part := range []string{"text", "rating", "movie"} {
		branch, err := clients[i].Resume(start.Context())
		if err != nil {
			log.Fatal(err)
		}
		if err := branch.Write(ctx, "review/17/"+part, []byte("some "+part)); err != nil {
			log.Fatal(err)
		}
		branches = append(branches, branch.Context())
	}

	compose, err := clients[1].Resume(branches[0])
	if err != nil {
		log.Fatal(err)
	}
	if err := compose.Merge(branches[1:]...); err != nil {
		log.Fatal(err)
	}
	items, err := compose.ReadMany(ctx, "review/17", "review/17/text", "review/17/rating", "review/17/movie")
	if err != nil {
		log.Fatal(err)
	}
	for _, i := range items {
		fmt.Printf("%s: %s\n", i.Key, i.Value)
	}
	// Output:
	// review/17: draft
	// review/17/text: some text
	// review/17/rating: some rating
	// review/17/movie: some movie
}

// A page and what it lists are read as one moment: no entry is missing.
func ExampleSession_ReadMany() {
	clients, stop := exampleClients()
	defer stop()
	ctx := context.Background()

	session := clients[0].Session()
	for _, kv := range [][2]string{{"review/1", "good"}, {"page", "review/1 review/2"}, {"review/2", "bad"}} {
		if err := session.Write(ctx, kv[0], []byte(kv[1])); err != nil {
			log.Fatal(err)
		}
	}
	items, err := session.ReadMany(ctx, "page", "review/1", "review/2", "review/3")
	if err != nil {
		log.Fatal(err)
	}
	for _, i := range items {
		fmt.Printf("%s: %q %v\n", i.Key, i.Value, i.Found)
	}
	// Output:
	// page: "review/1 review/2" true
	// review/1: "good" true
	// review/2: "bad" true
	// review/3: "" false
}

func ExampleTTL() {
	clients, stop := exampleClients()
	defer stop()
	ctx := context.Background()

	session := clients[0].Session()
	if err := session.Write(ctx, "lock/7", []byte("mine"), clientlib.TTL(time.Minute)); err != nil {
		log.Fatal(err)
	}
	item, err := session.ReadItem(ctx, "lock/7")
	if err != nil {
		log.Fatal(err)
	}
	left := time.Until(item.Version.Deadline)
	fmt.Printf("%s, for less than a minute: %v\n", item.Value, left > 0 && left <= time.Minute)
	// Output: mine, for less than a minute: true
}

// Which errors deserve what.
func ExampleSession_Retry() {
	clients, stop := exampleClients()
	defer stop()
	ctx := context.Background()

	session := clients[0].Session()
	err := session.Write(ctx, "order/1", []byte("two books"))
	for tries := 0; errors.Is(err, clientlib.ErrUnknownOutcome) && tries < 3; tries++ {
		err = session.Retry(ctx) // done once, however often it is asked for
	}
	switch {
	case err == nil:
		fmt.Println("ordered")
	case errors.Is(err, clientlib.ErrUnknownOutcome):
		fmt.Println("perhaps ordered: look, before ordering again")
	case errors.Is(err, clientlib.ErrOverloaded):
		fmt.Println("not ordered; try again later")
	case errors.Is(err, clientlib.ErrEpoch):
		fmt.Println("not ordered; the cluster has started anew: begin the workflow again")
	default:
		fmt.Println("not ordered:", err)
	}
	// Output: ordered
}

// A session that lives in one process can change its server without exporting.
func ExampleSession_Move() {
	clients, stop := exampleClients()
	defer stop()
	ctx := context.Background()

	session := clients[0].Session()
	if err := session.Write(ctx, "a", []byte("1")); err != nil {
		log.Fatal(err)
	}
	if err := session.Move(clients[1]); err != nil {
		log.Fatal(err)
	}
	value, found, err := session.Read(ctx, "a")
	fmt.Println(string(value), found, err)
	// Output: 1 true <nil>
}
