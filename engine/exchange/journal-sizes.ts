/** Bounds of a partition's journal. Its writer and the shipper must have the same: both mean the same files. */
export interface JournalSizes {
  readonly segmentBytes: number;
  readonly frameBytesMax: number;
  /** Most files of a partition's journal on disk, spares included; with segmentBytes the bound on its size. */
  readonly segmentsMax: number;
}
