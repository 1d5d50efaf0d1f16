package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
)

// notifySocket names the variable with which systemd says that it wants to hear when a service
// of Type=notify has started.
const notifySocket = "NOTIFY_SOCKET"

// Run runs one node as this process, until ctx ends, and then drains it. It returns nil if
// nothing that was acknowledged is lost, ErrLeftBehind if something is. Beside what New and
// Node.Run do it has to do with the process: it attaches probes to it, and gives up its
// privileges as soon as nothing needs them any more.
func Run(ctx context.Context, c Config, log *slog.Logger) error {
	d, err := New(c, log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	settled := make(chan error)
	go func() {
		err := d.n.settleIn(ctx)
		if err != nil {
			cancel()
		}
		settled <- err
	}()
	err = d.Run(ctx)
	cancel()
	err = errors.Join(<-settled, err)
	d.n.takeProbesOff()
	return err
}

// settleIn does what takes privileges, gives these up, and says so: not before all loops run,
// whose listeners and io_urings may have taken some.
func (n *node) settleIn(ctx context.Context) error {
	for _, f := range n.fronts() {
		select {
		case <-f.begun:
		case <-n.ended:
			return nil
		}
	}
	if err := n.putProbesOn(ctx); err != nil {
		return err
	}
	n.giveUpPrivileges()
	if err := notifyManager(os.Getenv(notifySocket)); err != nil {
		n.log.Error("the service manager was not told that this node has started", "error", err)
	}
	return nil
}

// notifyManager says at a socket, if there is one, that the service has started. It does not
// wait for other nodes: they may be started after this one.
func notifyManager(socket string) error {
	if socket == "" {
		return nil
	}
	c, err := net.Dial("unixgram", socket)
	if err == nil {
		_, err = c.Write([]byte("READY=1"))
		err = errors.Join(err, c.Close())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", notifySocket, err)
	}
	return nil
}
