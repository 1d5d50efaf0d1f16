// Package sampler draws keys as a workload asks for them: uniformly, or by Zipf's
// law with any exponent.
//
// The standard library's Zipf generator needs an exponent above 1, while caches are
// compared at exactly 1, and it draws by rejection. Here a distribution over n keys
// is an alias table (Walker 1977, Vose 1991): built once in O(n), 16 bytes per key,
// and every draw costs one random number and one look into the table.
//
// A Distribution does not change after it was made, and any number of goroutines
// draw from it, each with a generator of its own. The same seed gives the same keys.
//
// It knows ranks and nothing of what lies under them: rank 0 is the most popular.
package sampler
