package sampler

import "errors"

// ErrDistribution: there is no such distribution.
var ErrDistribution = errors.New("no such distribution")
