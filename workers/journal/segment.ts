/**
 * The bytes of a journal segment. Only this file knows them; it does no I/O.
 *
 * A segment is a preallocated file: a header of one sector, then frames one after the other, then zeros to the end.
 * Little-endian.
 *
 *   header, 512 bytes                            frame, a multiple of 64 bytes
 *     0 8 bytes magic "AFWSEGMT"                   0 u32 magic              4 u32 bytes of the whole frame
 *     8 u32 format version                         8 u32 record count      12 u32 bytes of header and records
 *    12 u32 partition   16 u32 partition count    16 f64 first sequence    24 f64 at, wall clock milliseconds
 *    20 u32 segment number                        32 u32 segment number    36 u32 offset of the frame in the file
 *    24 f64 first sequence                        40 u32 chain             44 u16 partition   46 u16 flags
 *    32 u32 chain seed                            48 u32 CRC32C of all after the header
 *    36 u32 bytes of the file                     52 u32 epoch
 *    40 u32 most bytes of a frame                 56 u32 CRC32C of bytes 0..56    60 u32 closing magic
 *    44 u32 epoch   48 zeros                      64 the records (engine/core/record.ts), end to end
 *   508 u32 CRC32C of bytes 0..508                   zeros to the last 8 bytes, which are a closing mark
 *
 * The chain of a frame is the header CRC of the frame before it. The seed is that of the last frame of the segment
 * before. As a header CRC covers the CRC of the records, each frame vouches for everything before it. A frame from an
 * earlier use of the file, or a moved or repeated one, cannot follow.
 *
 * The epoch is that of the writer's lease (engine/writer/writer-lease.ts), of a segment that of the engine that made
 * it. It never goes down along the log: a frame of a lower one was written by an engine that another one had replaced.
 *
 * Version 2 brought the epoch. Version 1 has zeros in its place and is read as epoch 0; frames that are added to such a
 * segment carry theirs. A program that reads version 1 alone refuses the segments made since, and says so. Version 3
 * brought records with a trace (engine/core/trace-format.ts). Its place lets a program before it find everything else.
 * Version 4 brought signals behind the root id (engine/core/vocabulary.ts), where a program before it would misread it.
 * Version 5 brought the levels of rolling windows beside the channel.
 *
 * Why the shape distinguishes a torn frame from a damaged one. Devices write whole sectors; a crash leaves each sector
 * of the frame in flight either written or still zero. Frames start on 64 bytes, so a header lies in one sector: whole
 * or absent. Every sector of a frame holds at least two bytes that are not zero. The first sector has the header, the
 * last one the closing mark, and the others are inspected when written; else the frame is flagged `sparse`. So a sector
 * of zeros was not written, and no flip of one bit makes a written sector look unwritten.
 */
import { crc32c } from '@node-rs/crc32';
import { assert } from '../../engine/core/invariant.js';
import type { JournalSizes } from '../../engine/exchange/journal-sizes.js';

/** The smallest unit that a device writes whole. Larger ones are whole multiples, so this is the safe choice. */
export const sectorBytes = 512;
export const segmentHeaderBytes = sectorBytes;
export const frameHeaderBytes = 64;
export const frameTrailerBytes = 8;
const frameAlignBytes = 64;
export const formatVersion = 5;
const formatVersionOldest = 1;
/** Header, one record of a byte, trailer, rounded up: where less is left, a segment is full. */
export const frameBytesLeast = 128;

const segmentMagic = Uint8Array.from('AFWSEGMT', (letter) => letter.charCodeAt(0));
/** The closing ones end in a byte of several set bits: a write cut short leaves it zero, one flipped bit does not. */
const headMagic = 0x46574641;
const closeMagic = 0x5ec70ed5;
const trailerLow = 0xa55a_c33c | 0;
const trailerHigh = 0x9669_e71e | 0;

export const FrameFlag = {
  /** Some whole sector of the frame has fewer than two bytes that are not zero, so it may look unwritten. */
  sparse: 1,
} as const;

/** Byte offsets in a segment's header. docs/journal-format.md has them too, and a test compares the two. */
export const SegmentOffset = {
  magic: 0,
  version: 8,
  partition: 12,
  partitionCount: 16,
  number: 20,
  firstSequence: 24,
  chainSeed: 32,
  bytes: 36,
  frameBytesMax: 40,
  epoch: 44,
  crc: 508,
} as const;
const S = SegmentOffset;
/** Byte offsets in a frame's header. */
export const FrameOffset = {
  magic: 0,
  bytes: 4,
  recordCount: 8,
  recordsEnd: 12,
  firstSequence: 16,
  atMs: 24,
  segmentNumber: 32,
  offset: 36,
  chain: 40,
  partition: 44,
  flags: 46,
  bodyCrc: 48,
  epoch: 52,
  headerCrc: 56,
  closeMagic: 60,
} as const;
const F = FrameOffset;

export interface SegmentHeader {
  readonly partition: number;
  readonly partitionCount: number;
  /** 1-based place of the file in its journal. */
  readonly number: number;
  /** Sequence of the first record of the first frame. */
  readonly firstSequence: number;
  readonly chainSeed: number;
  /** Size of the file in bytes. */
  readonly segmentBytes: number;
  /** No frame in it is longer, in bytes. */
  readonly frameBytesMax: number;
  /** Of the engine that made the segment; no frame in it has a lower one. */
  readonly epoch: number;
}

/** The bytes of a segment's header. */
export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(segmentHeaderBytes);
  const view = new DataView(bytes.buffer);
  bytes.set(segmentMagic, 0);
  view.setUint32(S.version, formatVersion, true);
  view.setUint32(S.partition, header.partition, true);
  view.setUint32(S.partitionCount, header.partitionCount, true);
  view.setUint32(S.number, header.number, true);
  view.setFloat64(S.firstSequence, header.firstSequence, true);
  view.setUint32(S.chainSeed, header.chainSeed, true);
  view.setUint32(S.bytes, header.segmentBytes, true);
  view.setUint32(S.frameBytesMax, header.frameBytesMax, true);
  view.setUint32(S.epoch, header.epoch, true);
  view.setUint32(S.crc, crc32c(bytes.subarray(0, S.crc)), true);
  return bytes;
}

/** Reads a segment's header, or says in a few words what is wrong with it. */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | string {
  if (bytes.length < segmentHeaderBytes) return 'the file is shorter than its header';
  const view = new DataView(bytes.buffer, bytes.byteOffset, segmentHeaderBytes);
  if (crc32c(bytes.subarray(0, S.crc)) !== view.getUint32(S.crc, true))
    return 'the checksum of the file header is wrong';
  if (!segmentMagic.every((byte, index) => bytes[index] === byte)) return 'the file is no journal segment';
  const version = view.getUint32(S.version, true);
  if (version < formatVersionOldest || version > formatVersion) {
    return (
      `the format is version ${version}, this program reads versions ${formatVersionOldest} to ${formatVersion}: ` +
      'start the release that wrote it'
    );
  }
  return {
    partition: view.getUint32(S.partition, true),
    partitionCount: view.getUint32(S.partitionCount, true),
    number: view.getUint32(S.number, true),
    firstSequence: view.getFloat64(S.firstSequence, true),
    chainSeed: view.getUint32(S.chainSeed, true),
    segmentBytes: view.getUint32(S.bytes, true),
    frameBytesMax: view.getUint32(S.frameBytesMax, true),
    epoch: view.getUint32(S.epoch, true),
  };
}

/** Bytes of a frame whose records take `recordBytes`. */
export function frameBytesFor(recordBytes: number): number {
  const bytes = frameHeaderBytes + recordBytes + frameTrailerBytes;
  return Math.ceil(bytes / frameAlignBytes) * frameAlignBytes;
}

/**
 * Completes a frame around records that stand at frameHeaderBytes..recordsEnd of `frame`: padding, mark and header.
 * @param offset where in the file the frame will stand: decides which bytes share a sector
 * @returns the CRC of its header, which is the chain of the next frame
 */
export function sealFrame(
  frame: Uint8Array,
  view: DataView,
  recordsEnd: number,
  recordCount: number,
  firstSequence: number,
  atMs: number,
  offset: number,
  chain: number,
  partition: number,
  segmentNumber: number,
  epoch: number,
): number {
  const bytes = frameBytesFor(recordsEnd - frameHeaderBytes);
  const trailer = bytes - frameTrailerBytes;
  frame.fill(0, recordsEnd, trailer);
  view.setInt32(trailer, trailerLow, true);
  view.setInt32(trailer + 4, trailerHigh, true);
  view.setUint32(F.magic, headMagic, true);
  view.setUint32(F.bytes, bytes, true);
  view.setUint32(F.recordCount, recordCount, true);
  view.setUint32(F.recordsEnd, recordsEnd, true);
  view.setFloat64(F.firstSequence, firstSequence, true);
  view.setFloat64(F.atMs, atMs, true);
  view.setUint32(F.segmentNumber, segmentNumber, true);
  view.setUint32(F.offset, offset, true);
  view.setUint32(F.chain, chain, true);
  view.setUint16(F.partition, partition, true);
  view.setUint16(F.flags, isSparse(frame, bytes, offset) ? FrameFlag.sparse : 0, true);
  view.setUint32(F.bodyCrc, crc32c(frame.subarray(frameHeaderBytes, bytes)), true);
  view.setUint32(F.epoch, epoch, true);
  const headerCrc = crc32c(frame.subarray(0, F.headerCrc));
  view.setUint32(F.headerCrc, headerCrc, true);
  view.setUint32(F.closeMagic, closeMagic, true);
  return headerCrc;
}

/**
 * Looks at the sectors that lie wholly inside the frame, the one with the header aside. Two bytes are asked for, not
 * one, so that one flipped bit cannot empty a sector. Real records are never sparse. They hold at most 490 zeros in a
 * row (the fixed fields after the lengths, and all texts made of NULs). The loop takes a few steps per sector.
 */
function isSparse(frame: Uint8Array, bytes: number, offset: number): boolean {
  let start = sectorBytes - (offset % sectorBytes);
  for (; start + sectorBytes < bytes; start += sectorBytes) {
    let found = 0;
    for (let index = start; index < start + sectorBytes && found < 2; index++) if (frame[index] !== 0) found++;
    if (found < 2) return true;
  }
  return false;
}

/** What a frame must be to stand where it is read. */
export interface FramePlace {
  readonly partition: number;
  readonly segmentNumber: number;
  readonly segmentBytes: number;
  readonly frameBytesMax: number;
  /** Of the frame in the file, in bytes. */
  readonly offset: number;
  /** Of its first record. */
  readonly sequence: number;
  readonly chain: number;
  /** Of the frame before it, or of the segment. */
  readonly epoch: number;
}

/** '' when the 64 bytes at `at` are the header of the frame that belongs here, else what is wrong. */
export function frameHeaderFault(bytes: Uint8Array, view: DataView, at: number, place: FramePlace): string {
  if (view.getUint32(at + F.magic, true) !== headMagic) return 'there is no frame header';
  if (view.getUint32(at + F.closeMagic, true) !== closeMagic) return 'the frame header does not end as it should';
  if (crc32c(bytes.subarray(at, at + F.headerCrc)) !== view.getUint32(at + F.headerCrc, true)) {
    return 'the checksum of the frame header is wrong';
  }
  if (view.getUint32(at + F.segmentNumber, true) !== place.segmentNumber) return 'the frame belongs to another segment';
  if (view.getUint16(at + F.partition, true) !== place.partition) return 'the frame belongs to another partition';
  if (view.getUint32(at + F.offset, true) !== place.offset) return 'the frame belongs elsewhere in the file';
  const first = view.getFloat64(at + F.firstSequence, true);
  if (first !== place.sequence) return `the frame begins with record ${first}`;
  if (view.getUint32(at + F.chain, true) !== place.chain)
    return 'the frame does not follow the frame before it (chain)';
  const epoch = view.getUint32(at + F.epoch, true);
  if (epoch < place.epoch) {
    return (
      `the frame is of epoch ${epoch} behind one of ${place.epoch}: an engine wrote it after another one had ` +
      'replaced it'
    );
  }
  const length = view.getUint32(at + F.bytes, true);
  const recordsEnd = view.getUint32(at + F.recordsEnd, true);
  if (
    length > place.frameBytesMax ||
    place.offset + length > place.segmentBytes ||
    recordsEnd <= frameHeaderBytes ||
    length !== frameBytesFor(recordsEnd - frameHeaderBytes) ||
    view.getUint32(at + F.recordCount, true) === 0
  ) {
    return 'the lengths in the frame header contradict each other';
  }
  return '';
}

/** '' when the records of the frame at `at`, whose header is right, are what was written, else what is wrong. */
export function frameBodyFault(bytes: Uint8Array, view: DataView, at: number): string {
  const length = view.getUint32(at + F.bytes, true);
  if (crc32c(bytes.subarray(at + frameHeaderBytes, at + length)) !== view.getUint32(at + F.bodyCrc, true)) {
    return 'the checksum of the records is wrong';
  }
  // The checksum is right, so these are bugs of the writer, not damage; a reader must still not run off the end.
  let position = at + frameHeaderBytes;
  const end = at + view.getUint32(at + F.recordsEnd, true);
  let count = 0;
  while (position + 2 <= end) {
    const recordBytes = view.getUint16(position, true);
    if (recordBytes < 2) break;
    position += recordBytes;
    count++;
  }
  if (position !== end || count !== view.getUint32(at + F.recordCount, true)) {
    return 'the lengths of the records do not add up';
  }
  return '';
}

/** Fields of a frame whose header is right. */
export const frameField = {
  bytes: (view: DataView, at: number): number => view.getUint32(at + F.bytes, true),
  recordCount: (view: DataView, at: number): number => view.getUint32(at + F.recordCount, true),
  recordsEnd: (view: DataView, at: number): number => view.getUint32(at + F.recordsEnd, true),
  firstSequence: (view: DataView, at: number): number => view.getFloat64(at + F.firstSequence, true),
  atMs: (view: DataView, at: number): number => view.getFloat64(at + F.atMs, true),
  flags: (view: DataView, at: number): number => view.getUint16(at + F.flags, true),
  epoch: (view: DataView, at: number): number => view.getUint32(at + F.epoch, true),
  headerCrc: (view: DataView, at: number): number => view.getUint32(at + F.headerCrc, true),
} as const;

/**
 * True when the 64 bytes at `at` are a whole frame header, wherever it belongs, of record `sequence` or a later one.
 * Finding one after an invalid frame proves that the log went on there: damage, not a torn end.
 */
export function isLaterFrameHeader(bytes: Uint8Array, view: DataView, at: number, sequence: number): boolean {
  return (
    view.getUint32(at + F.magic, true) === headMagic &&
    view.getUint32(at + F.closeMagic, true) === closeMagic &&
    crc32c(bytes.subarray(at, at + F.headerCrc)) === view.getUint32(at + F.headerCrc, true) &&
    view.getFloat64(at + F.firstSequence, true) >= sequence
  );
}

/** True when the header at `at` stops before its closing magic, as after a write that was cut short. */
export function isHeaderCutShort(view: DataView, at: number): boolean {
  // Its last byte has several bits set: no single flip makes it zero.
  return view.getUint8(at + frameHeaderBytes - 1) === 0;
}

/**
 * True when some part of the frame at `at` was never written, where its header is right and its records are not. Then
 * its closing mark is not whole, or a whole sector is zero. A frame flagged sparse holds such sectors by itself: only
 * the mark counts.
 */
export function isFrameUnfinished(bytes: Uint8Array, view: DataView, at: number, offset: number): boolean {
  const length = frameField.bytes(view, at);
  // Bytes are written in order, so a write that was cut short lacks at least the last one.
  if (bytes[at + length - 1] === 0) return true;
  if ((frameField.flags(view, at) & FrameFlag.sparse) !== 0) return false;
  let start = sectorBytes - (offset % sectorBytes);
  for (; start + sectorBytes < length; start += sectorBytes) {
    if (isZero(bytes, at + start, at + start + sectorBytes)) return true;
  }
  return false;
}

const zeroBlock = Buffer.alloc(1 << 16);

/** True when [start, end) of `bytes` is all zero. Compares blocks: a segment's unused end is mostly zeros. */
export function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let from = start; from < end; from += zeroBlock.length) {
    const to = Math.min(end, from + zeroBlock.length);
    if (zeroBlock.compare(bytes, from, to, 0, to - from) !== 0) return false;
  }
  return true;
}

/** Index of the first byte in [start, end) that is not zero, or `end`. */
export function firstNonZero(bytes: Uint8Array, start: number, end: number): number {
  let from = start;
  while (from < end && isZero(bytes, from, Math.min(end, from + sectorBytes))) from = Math.min(end, from + sectorBytes);
  while (from < end && bytes[from] === 0) from++;
  return from;
}

/**
 * One more than the largest offset in a segment. 2^22 segments of it stay safe integers: 256 TiB at the default size.
 */
const locationStride = 2 ** 31;

/** A byte of the journal as one number: differences within a segment are byte distances. Never negative. */
export function locationOf(segmentNumber: number, offset: number): number {
  return segmentNumber * locationStride + offset;
}

export function locationSegment(location: number): number {
  return Math.floor(location / locationStride);
}

export function locationOffset(location: number): number {
  return location % locationStride;
}

/** Sizes of segments and frames, checked together. */
/** 64 MiB: a few seconds of full load, so rolls are rare; zeroing one takes a fraction of a second. */
export const segmentBytesDefault = 64 * 1024 * 1024;
/** Room for 1,024 records of the greatest length with change to spare; typical batches take a tenth. */
export const frameBytesMaxDefault = 4 * 1024 * 1024;

/** Throws when the sizes cannot work together. */
export function assertSegmentSizes(sizes: Omit<JournalSizes, 'segmentsMax'>): void {
  assert(
    sizes.frameBytesMax % frameAlignBytes === 0 && sizes.frameBytesMax >= frameBytesLeast,
    'frameBytesMax must be a multiple of 64',
  );
  assert(sizes.segmentBytes % sectorBytes === 0, 'segmentBytes must be a multiple of 512');
  assert(
    segmentHeaderBytes + sizes.frameBytesMax <= sizes.segmentBytes,
    'a segment must hold a frame of frameBytesMax',
  );
  assert(sizes.segmentBytes <= locationStride, 'a segment must stay below 2 GiB: offsets must fit a location');
}
