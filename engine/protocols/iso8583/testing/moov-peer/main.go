// A peer for tests: moov-io/iso8583 behind a socket. It listens on one port for each encoding, with the framing of that
// name from moov's package network, and answers each frame. A frame of JSON with values is answered with the message
// that moov writes; a message is answered with JSON of the values that moov reads. It ends with its standard input.
package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/encoding"
	"github.com/moov-io/iso8583/field"
	"github.com/moov-io/iso8583/network"
	"github.com/moov-io/iso8583/prefix"
	"github.com/moov-io/iso8583/specs"
	"golang.org/x/text/encoding/charmap"
)

// values of a message; bytes are in hexadecimal.
type values struct {
	MTI    string            `json:"mti"`
	Fields map[string]string `json:"fields"`
}

// cp037 is EBCDIC as this project means it; moov has other code pages.
type cp037 struct{}

func (cp037) Encode(data []byte) ([]byte, error) {
	return charmap.CodePage037.NewEncoder().Bytes(data)
}

func (cp037) Decode(data []byte, length int) ([]byte, int, error) {
	if len(data) < length {
		return nil, 0, io.ErrUnexpectedEOF
	}
	text, err := charmap.CodePage037.NewDecoder().Bytes(data[:length])
	return text, length, err
}

// Fields that moov's table of ASCII does not have, as length and prefix.
var more = map[int][2]string{
	70: {"3", "Fixed"}, 95: {"42", "Fixed"}, 100: {"11", "LL"}, 102: {"28", "LL"}, 127: {"999", "LLL"}, 128: {"8", "Fixed"},
}

func isBytes(id int) bool {
	return id == 52 || id == 55 || id == 64 || id == 128
}

func isDigits(id int) bool {
	return id <= 27 || id == 32 || id == 33 || id == 53 || id == 70 || id == 90 || id == 100
}

func specOf(kind string) *iso8583.MessageSpec {
	fields := map[int]field.Field{}
	add := func(id, length int, form string) { fields[id] = fieldOf(kind, id, length, form) }
	for id, known := range specs.Spec87ASCII.Fields {
		form := known.Spec().Pref.Inspect()
		add(id, known.Spec().Length, form[strings.Index(form, ".")+1:])
	}
	for id, known := range more {
		length, _ := strconv.Atoi(known[0])
		add(id, length, known[1])
	}
	if kind == "ascii" {
		fields[1] = field.NewBitmap(field.NewSpec(8, "", encoding.BytesToASCIIHex, prefix.Hex.Fixed))
	} else {
		fields[1] = field.NewBitmap(field.NewSpec(8, "", encoding.Binary, prefix.Binary.Fixed))
	}
	return &iso8583.MessageSpec{Fields: fields}
}

func fieldOf(kind string, id, length int, form string) field.Field {
	prefixes := map[string]prefix.Prefixers{"ascii": prefix.ASCII, "bcd": prefix.BCD, "ebcdic": prefix.EBCDIC}[kind]
	pref := map[string]prefix.Prefixer{"Fixed": prefixes.Fixed, "LL": prefixes.LL, "LLL": prefixes.LLL}[form]
	switch {
	case isBytes(id) && kind != "ascii":
		return field.NewBinary(field.NewSpec(length, "", encoding.Binary, pref))
	case isBytes(id) && form == "Fixed":
		return field.NewString(field.NewSpec(2*length, "", encoding.ASCII, pref))
	case kind == "bcd" && isDigits(id):
		return field.NewString(field.NewSpec(length, "", encoding.BCD, pref))
	case kind == "ebcdic":
		return field.NewString(field.NewSpec(length, "", cp037{}, pref))
	default:
		return field.NewString(field.NewSpec(length, "", encoding.ASCII, pref))
	}
}

func write(spec *iso8583.MessageSpec, kind string, text []byte) ([]byte, error) {
	var given values
	if err := json.Unmarshal(text, &given); err != nil {
		return nil, err
	}
	message := iso8583.NewMessage(spec)
	message.MTI(given.MTI)
	for name, value := range given.Fields {
		id, err := strconv.Atoi(name)
		if err != nil {
			return nil, err
		}
		if isBytes(id) && kind != "ascii" {
			raw, err := hex.DecodeString(value)
			if err != nil {
				return nil, err
			}
			err = message.BinaryField(id, raw)
			if err != nil {
				return nil, err
			}
		} else if err := message.Field(id, value); err != nil {
			return nil, err
		}
	}
	return message.Pack()
}

func read(spec *iso8583.MessageSpec, bytes []byte) ([]byte, error) {
	message := iso8583.NewMessage(spec)
	if err := message.Unpack(bytes); err != nil {
		return nil, err
	}
	mti, err := message.GetMTI()
	if err != nil {
		return nil, err
	}
	found := values{MTI: mti, Fields: map[string]string{}}
	for id := range message.GetFields() {
		if id < 2 {
			continue
		}
		// A field of bytes says hexadecimal digits.
		text, err := message.GetString(id)
		if err != nil {
			return nil, err
		}
		found.Fields[strconv.Itoa(id)] = text
	}
	return json.Marshal(found)
}

// frameHeader is what moov's headers have in common: setting a length may fail in some of them only.
type frameHeader interface {
	ReadFrom(r io.Reader) (int, error)
	WriteTo(w io.Writer) (int, error)
	Length() int
}

func headerOf(kind string, length int) frameHeader {
	switch kind {
	case "ascii":
		header := network.NewASCII4BytesHeader()
		header.SetLength(length)
		return header
	case "bcd":
		header := network.NewBCD2BytesHeader()
		header.SetLength(length)
		return header
	default:
		header := network.NewBinary2BytesHeader()
		header.SetLength(length)
		return header
	}
}

func serve(connection net.Conn, kind string) {
	defer connection.Close()
	spec := specOf(kind)
	for {
		head := headerOf(kind, 0)
		if _, err := head.ReadFrom(connection); err != nil {
			return
		}
		body := make([]byte, head.Length())
		if _, err := io.ReadFull(connection, body); err != nil {
			return
		}
		var answer []byte
		var err error
		if len(body) > 0 && body[0] == '{' {
			answer, err = write(spec, kind, body)
		} else {
			answer, err = read(spec, body)
		}
		if err != nil {
			answer, _ = json.Marshal(map[string]string{"error": err.Error()})
		}
		if _, err := headerOf(kind, len(answer)).WriteTo(connection); err != nil {
			return
		}
		if _, err := connection.Write(answer); err != nil {
			return
		}
	}
}

func main() {
	ports := map[string]int{}
	for _, kind := range []string{"ascii", "bcd", "ebcdic"} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		ports[kind] = listener.Addr().(*net.TCPAddr).Port
		go func(kind string) {
			for {
				connection, err := listener.Accept()
				if err != nil {
					return
				}
				go serve(connection, kind)
			}
		}(kind)
	}
	line, _ := json.Marshal(ports)
	fmt.Println(string(line))
	io.Copy(io.Discard, os.Stdin)
}
