// A server that speaks MongoDB's protocol, for machines without MongoDB: FerretDB, embedded, its data in SQLite files.
// For development and tests only. deploy/testing/test-mongo.ts builds it, once, and starts it.
//
//	dev-mongo 127.0.0.1:27017 /path/to/data
package main

import (
	"context"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: dev-mongo HOST:PORT FOLDER")
	}
	folder, err := filepath.Abs(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		log.Fatal(err)
	}
	server, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{TCP: os.Args[1]},
		// Warnings only: at its usual level it logs every message, documents included.
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Handler:   "sqlite",
		// No sync to disk for each document: what a killed server wrote stays, and a power cut may take it.
		SQLiteURL: "file:" + folder + "/?_pragma=synchronous(off)",
	})
	if err != nil {
		log.Fatal(err)
	}
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := server.Run(stop); err != nil && stop.Err() == nil {
		log.Fatal(err)
	}
}
