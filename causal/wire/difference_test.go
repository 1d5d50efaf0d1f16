package wire

import (
	"bytes"
	"fmt"
	"reflect"
)

// difference says where two values differ, "" if they do not. Unlike
// reflect.DeepEqual it takes nil and empty slices for the same, as msgpack does.
func difference(got, want any) string {
	return differ("", reflect.ValueOf(got), reflect.ValueOf(want))
}

func differ(path string, a, b reflect.Value) string {
	if a.IsValid() != b.IsValid() || a.IsValid() && a.Type() != b.Type() {
		return fmt.Sprintf("%s: %v, want %v", path, a, b)
	}
	if !a.IsValid() {
		return ""
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			if a.IsNil() != b.IsNil() {
				return fmt.Sprintf("%s: %v, want %v", path, a, b)
			}
			return ""
		}
		return differ(path, a.Elem(), b.Elem())
	case reflect.Slice, reflect.Array:
		if x, ok := a.Interface().([]byte); ok && bytes.Equal(x, b.Bytes()) {
			return "" // element by element is slow
		}
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d elements %v, want %d %v", path, a.Len(), a, b.Len(), b)
		}
		for i := range a.Len() {
			if d := differ(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i)); d != "" {
				return d
			}
		}
	case reflect.Struct:
		for i := range a.NumField() {
			if !a.Type().Field(i).IsExported() { // no part of what is sent
				continue
			}
			if d := differ(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i)); d != "" {
				return d
			}
		}
	default:
		if !reflect.DeepEqual(a.Interface(), b.Interface()) {
			return fmt.Sprintf("%s: %v, want %v", path, a, b)
		}
	}
	return ""
}
