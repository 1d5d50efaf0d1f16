package bench

import (
	"errors"
	"reflect"
	"testing"
)

// TestAdd: a further run replaces what it has measured again, adds what is new, in the order of
// the page, and belongs to the same code and plan only.
func TestAdd(t *testing.T) {
	result := func(id string, seconds float64) Result { return Result{Experiment: id, Seconds: seconds} }
	code := Code{Packages: map[string]string{"daemon": "1"}}
	all := ids(Experiments(Quick()))
	d := &Data{Plan: Quick(), Code: code, Part: true, Seconds: 5, Servers: []Program{{Name: "a"}},
		Results: []Result{result(all[0], 1), result(all[2], 1)}}
	performance.add(d, &Data{Seconds: 7, Servers: []Program{{Name: "a"}, {Name: "b"}}, Results: []Result{result(all[1], 2), result(all[2], 2)}})
	if want := []Result{result(all[0], 1), result(all[1], 2), result(all[2], 2)}; !reflect.DeepEqual(d.Results, want) {
		t.Errorf("%+v, want %+v", d.Results, want)
	}
	if d.Seconds != 12 || len(d.Servers) != 2 || !d.Part {
		t.Errorf("%+v", d)
	}
	for _, id := range all[3:] {
		performance.add(d, &Data{Results: []Result{result(id, 3)}})
	}
	if d.Part {
		t.Error("the page is whole, and says that it is a part")
	}
	other := Code{Packages: map[string]string{"daemon": "2"}}
	if err := performance.belongs(d, &code, Quick()); err != nil {
		t.Error(err)
	}
	for _, err := range []error{performance.belongs(d, &other, Quick()), performance.belongs(d, &code, Full())} {
		if !errors.Is(err, ErrStale) {
			t.Error(err)
		}
	}
}
