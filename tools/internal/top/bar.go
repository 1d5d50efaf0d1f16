package top

// parts tells how many of a bar's cells go to each part: in proportion, none to
// nothing, and all cells to somebody.
func parts(cells int, of [3]uint64) (each [3]int) {
	sum := float64(0)
	for _, n := range of {
		sum += float64(n)
	}
	if sum == 0 {
		return each
	}
	done, shown := float64(0), 0
	for i, n := range of {
		done += float64(n)
		upTo := int(done/sum*float64(cells) + 0.5)
		each[i], shown = upTo-shown, upTo
	}
	return each
}
