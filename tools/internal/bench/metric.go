package bench

// Metric names a quantity in the data.
type Metric string

// What loadgen reports of a run.
const (
	Operations    Metric = "ops"
	Failures      Metric = "errors"
	Throughput    Metric = "throughput_ops"
	Mean          Metric = "mean_ns"
	P50           Metric = "p50_ns"
	P90           Metric = "p90_ns"
	P99           Metric = "p99_ns"
	P999          Metric = "p999_ns"
	Lag           Metric = "schedule_lag_p99_ns"
	ServerCPU     Metric = "server_cpu_us_per_op" // all processes of the system
	ClientCPU     Metric = "client_cpu_us_per_op"
	BytesSent     Metric = "bytes_sent_per_op"
	BytesReceived Metric = "bytes_received_per_op"
	OwnAtBegin    Metric = "own_writes_in_flight_at_begin" // of a read
	OwnAtEnd      Metric = "own_writes_in_flight_at_end"
)

// What is counted of a ring around a run, for each request, until the ring is at rest.
const (
	NodeCPU   Metric = "node_cpu_us_per_request"   // the node that was asked
	OthersCPU Metric = "others_cpu_us_per_request" // the other nodes together
	StoreCPU  Metric = "store_cpu_us_per_request"
	RestTime  Metric = "rest_s" // from the end of the load until rest

	NodeAllocs   Metric = "node_allocs_per_million"   // the node that was asked
	OthersAllocs Metric = "others_allocs_per_million" // the other nodes together
	// IdleAllocs are those of the node asked in as long a time without requests.
	IdleAllocs Metric = "idle_allocs_per_million"
	Requests   Metric = "requests"
)

// What is seen of shared memory.
const (
	IdleCPU Metric = "idle_cpu_share" // of one processor, of the node whose clients are idle
	Written Metric = "written_ops"    // writes that were served beside reads
)

// What probes in the kernel see of a request, on average where nothing else is said, and
// what it costs.
const (
	Queue      Metric = "queue_mean_ns"
	WakeUp     Metric = "wake_up_mean_ns" // of the node's loop
	Service    Metric = "service_mean_ns"
	Send       Metric = "send_mean_ns"
	Client     Metric = "client_mean_ns" // what the client measures beyond all of these
	QueueP50   Metric = "queue_p50_ns"
	ServiceP50 Metric = "service_p50_ns"
	SendP50    Metric = "send_p50_ns"
	BothCPU    Metric = "client_and_node_cpu_us_per_op"
	// ProgramTime is that of all programs together.
	ProgramTime Metric = "programs_ns_per_op"
)

// What memory has grown by since before the first entry.
const (
	Growth      Metric = "growth_bytes" // of one process; of the nodes, the one that grew most
	PerEntry    Metric = "growth_bytes_per_entry"
	StoreGrowth Metric = "store_growth_bytes"
	// Offered is the rate that operations fell due at.
	Offered Metric = "offered_ops"
)

// quantity says how a metric is shown.
type quantity struct {
	title string
	unit  string
	scale float64 // from the data's unit to the one shown
}

const mebibyte = 1 << 20

var quantities = map[Metric]quantity{
	Operations:    {"operations", "", 1},
	Throughput:    {"throughput", "operations/s", 1},
	Mean:          {"mean", "µs", 1e-3},
	P50:           {"p50", "µs", 1e-3},
	P90:           {"p90", "µs", 1e-3},
	P99:           {"p99", "µs", 1e-3},
	P999:          {"p99.9", "µs", 1e-3},
	Lag:           {"generator late (p99)", "µs", 1e-3},
	ServerCPU:     {"server CPU", "µs/operation", 1},
	ClientCPU:     {"client CPU", "µs/operation", 1},
	BytesSent:     {"sent", "bytes/operation", 1},
	BytesReceived: {"received", "bytes/operation", 1},
	OwnAtBegin:    {"in flight when asked", "", 1},
	OwnAtEnd:      {"when answered", "", 1},
	NodeCPU:       {"CPU of the node asked", "µs/operation", 1},
	OthersCPU:     {"of the two others", "µs/operation", 1},
	StoreCPU:      {"of the store's Redis", "µs/operation", 1},
	RestTime:      {"at rest after", "s", 1},
	NodeAllocs:    {"objects allocated at the node asked", "per million requests", 1},
	OthersAllocs:  {"at the two others together", "per million requests", 1},
	IdleAllocs:    {"at the node asked, idle for as long", "per million requests", 1},
	Requests:      {"requests", "", 1},
	Growth:        {"growth", "MiB", 1.0 / mebibyte},
	PerEntry:      {"per entry", "bytes", 1},
	StoreGrowth:   {"growth of the store's Redis", "MiB", 1.0 / mebibyte},
	Offered:       {"offered", "operations/s", 1},
	Queue:         {"queue", "µs", 1e-3},
	WakeUp:        {"a wake-up of the loop", "µs", 1e-3},
	Service:       {"service", "µs", 1e-3},
	Send:          {"send", "µs", 1e-3},
	Client:        {"client", "µs", 1e-3},
	QueueP50:      {"queue p50", "µs", 1e-3},
	ServiceP50:    {"service p50", "µs", 1e-3},
	SendP50:       {"send p50", "µs", 1e-3},
	BothCPU:       {"CPU of client and node", "µs/operation", 1},
	ProgramTime:   {"all programs", "ns/operation", 1},
	IdleCPU:       {"CPU of the node", "% of a processor", 100},
	Written:       {"writes served", "operations/s", 1},
}

// name is the quantity with its unit.
func (q quantity) name() string {
	if q.unit == "" {
		return q.title
	}
	return q.title + ", " + q.unit
}
