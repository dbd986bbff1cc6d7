module atlanticfrewaycard/moov-peer

go 1.19

require (
	github.com/moov-io/iso8583 v0.23.0
	golang.org/x/text v0.20.0
)

require github.com/yerden/go-util v1.1.4 // indirect
