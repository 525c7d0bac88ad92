import { closeSync, fsyncSync, openSync, readFileSync, readSync, statSync, writeSync } from 'node:fs'

/** Of a WAL as SQLite writes it (https://www.sqlite.org/fileformat2.html#the_write_ahead_log). */
const HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
/** The first word: the byte order of the checksums. */
const LITTLE_ENDIAN = 0x377f0682
const BIG_ENDIAN = 0x377f0683
/** What a disk writes whole, or not at all: none has smaller ones. */
const SECTOR_BYTES = 512
/** Salts that differ in no more bits than this are the same, damaged: those of two rounds differ in about 16. */
const DAMAGED_BITS = 2

/** One page as a transaction wrote it. */
export interface WalFrame {
  readonly page: number
  /** Of the last page of a transaction: how many pages the database then has. */
  readonly pages: number
  readonly bytes: Buffer
  /** Its checksum and that of the frame before it fit. */
  readonly isWhole: boolean
  /** It alone is not whole, and one flipped bit is what is wrong with it: no write that was cut off leaves that. */
  readonly isFlipped: boolean
}

export interface Wal {
  readonly frames: readonly WalFrame[]
  readonly isHeaderWhole: boolean
  /**
   * A checksum differs in a transaction that was written to its end. SQLite ends its recovery there without a word,
   * because a power cut may leave such a tail, and forgets what follows.
   */
  readonly isDamaged: boolean
  /**
   * Another transaction was written behind the damaged one. Where each commit is synced before the next one begins, no
   * power cut leaves that.
   */
  readonly isDamagedInside: boolean
}

type Sum = readonly [number, number]

/** Where in its file a frame is. */
interface FramePlace {
  readonly bytes: Buffer
  readonly from: number
  readonly end: number
  readonly isBigEndian: boolean
}

/** The frames that were written since the WAL was begun anew; undefined when it holds none. */
export function readWal(file: string, pageBytes: number): Wal | undefined {
  const bytes = statSync(file, { throwIfNoEntry: false }) === undefined ? Buffer.alloc(0) : readFileSync(file)
  const frameBytes = FRAME_HEADER_BYTES + pageBytes
  if (bytes.length < HEADER_BYTES + frameBytes) return undefined
  const header = bytes.subarray(0, HEADER_BYTES)
  const isBigEndian = header.readUInt32BE(0) === BIG_ENDIAN
  const sum = (part: Buffer, seed: Sum): Sum => checksum(part, seed, isBigEndian)
  const frames: WalFrame[] = []
  // What the next sum begins with is in doubt after damage: as it is stored, or as it is computed.
  let seeds: Sum[] = [sumAt(header, 24), sum(header.subarray(0, 24), [0, 0])]
  const isKnown = (isBigEndian || header.readUInt32BE(0) === LITTLE_ENDIAN) && header.readUInt32BE(8) === pageBytes
  const isHeaderWhole = isKnown && seeds.every((seed) => isEqual(seed, sumAt(header, 24)))
  for (let at = HEADER_BYTES; at + frameBytes <= bytes.length; at += frameBytes) {
    const frame = bytes.subarray(at, at + frameBytes)
    const stored = sumAt(frame, 16)
    const computed = seeds.map((seed) => sum(frame.subarray(FRAME_HEADER_BYTES), sum(frame.subarray(0, 8), seed)))
    const differing = differingBits(frame.subarray(8, 16), header.subarray(16, 24))
    const fits = differing <= DAMAGED_BITS && computed.some((one) => isEqual(one, stored))
    // Frames of an earlier round, which has other salts, may follow.
    if (differing <= DAMAGED_BITS) {
      const [page, pages] = [frame.readUInt32BE(0), frame.readUInt32BE(4)]
      const place = { bytes, from: at, end: at + frameBytes, isBigEndian }
      const isFlipped = fits ? differing > 0 : computed.some((one) => isOneBitOff(one, stored, place))
      frames.push({
        page,
        pages,
        bytes: frame.subarray(FRAME_HEADER_BYTES),
        isWhole: fits && differing === 0,
        isFlipped,
      })
    }
    seeds = fits ? [stored] : [stored, ...computed].slice(0, 3)
  }
  // After the last transaction may be frames of one that found no room.
  const all = frames.slice(0, frames.findLastIndex(({ pages }) => pages > 0) + 1)
  // A bit that flips breaks one frame. Of several that a write left torn, the sums of one may look like it by chance:
  // whole sectors of equal words that are gone differ in few bits.
  const isOneBroken = all.filter(({ isWhole }) => !isWhole).length === 1
  const written = isOneBroken ? all : all.map((frame) => ({ ...frame, isFlipped: false }))
  const lastBegins = written.slice(0, -1).findLastIndex(({ pages }) => pages > 0) + 1
  return {
    frames: written,
    isHeaderWhole,
    isDamaged: written.length > 0 && !(isHeaderWhole && written.every(({ isWhole }) => isWhole)),
    isDamagedInside: lastBegins > 0 && !(isHeaderWhole && written.slice(0, lastBegins).every(({ isWhole }) => isWhole)),
  }
}

/** Where each commit is synced before the next one begins: the damage is what a power cut may leave of the last one. */
export function isLastTorn({ frames, isDamaged, isDamagedInside }: Wal): boolean {
  return isDamaged && !isDamagedInside && !frames.some(({ isFlipped }) => isFlipped)
}

/** The pages that the first frames of a WAL hold, without a look at checksums. */
export function pagesOfFrames(file: string, frames: number, pageBytes: number): Set<number> {
  const pages = new Set<number>()
  const header = Buffer.alloc(4)
  const descriptor = openSync(file, 'r')
  try {
    for (let i = 0; i < frames; i++) {
      readSync(descriptor, header, 0, header.length, HEADER_BYTES + i * (FRAME_HEADER_BYTES + pageBytes))
      pages.add(header.readUInt32BE(0))
    }
  } finally {
    closeSync(descriptor)
  }
  return pages
}

/** Length of a WAL that ends with this frame, counted from 0. */
export function frameEnd(index: number, pageBytes: number): number {
  return HEADER_BYTES + (index + 1) * (FRAME_HEADER_BYTES + pageBytes)
}

/**
 * Writes a file over itself and syncs it. After a sync that failed in an earlier process the kernel shows bytes that
 * are not on the disk, and takes them for written: what is read and believed at a start is put there first.
 */
export function rewrite(file: string): void {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) === 0) return
  const bytes = readFileSync(file)
  const descriptor = openSync(file, 'r+')
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at, bytes.length - at, at)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function checksum(bytes: Buffer, [first, second]: Sum, isBigEndian: boolean): Sum {
  let [a, b] = [first, second]
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    a = (a + view.getUint32(at, !isBigEndian) + b) >>> 0
    b = (b + view.getUint32(at + 4, !isBigEndian) + a) >>> 0
  }
  return [a, b]
}

/**
 * True when one flipped bit in the bytes that were summed, or in the sum that is stored, explains the difference. The
 * sums are linear modulo 2^32: what a word adds to them depends on how many words follow it, and on nothing else. A
 * sector that had one bit and now has none may as well never have been written: that is no flip.
 */
function isOneBitOff(computed: Sum, stored: Sum, { bytes, from, end, isBigEndian }: FramePlace): boolean {
  const [first, second] = [(stored[0] - computed[0]) >>> 0, (stored[1] - computed[1]) >>> 0]
  if ((first === 0 && isPowerOfTwo(second)) || (second === 0 && isPowerOfTwo(first))) return true
  const isBit = ([a, b]: Sum, at: number): boolean => {
    const word = isBigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at)
    for (let bit = 0; bit < 32; bit++) {
      const [x, y] = [(a << bit) >>> 0, (b << bit) >>> 0]
      // A bit that is missing now makes the stored sum the larger one.
      const isSet = ((word >>> bit) & 1) === 1
      if (isSet ? -x >>> 0 === first && -y >>> 0 === second : x === first && y === second) {
        return isSet || !isSectorEmpty(bytes, at)
      }
    }
    return false
  }
  // Of the last pair of words, and then of the pair before; the salts and the sum itself are not summed.
  let [even, odd]: [Sum, Sum] = [
    [1, 1],
    [0, 1],
  ]
  for (let at = end - 8; at >= from; at -= at === from + FRAME_HEADER_BYTES ? FRAME_HEADER_BYTES : 8) {
    if (isBit(even, at) || isBit(odd, at + 4)) return true
    even = stepped(even)
    odd = stepped(odd)
  }
  return false
}

function isSectorEmpty(bytes: Buffer, at: number): boolean {
  const from = at - (at % SECTOR_BYTES)
  return bytes.subarray(from, from + SECTOR_BYTES).every((byte) => byte === 0)
}

/** What one more pair of words makes of it. */
function stepped([a, b]: Sum): Sum {
  const sum = (a + b) >>> 0
  return [sum, (b + sum) >>> 0]
}

/** Or its negative. */
function isPowerOfTwo(value: number): boolean {
  return value !== 0 && ((value & (value - 1)) === 0 || (-value & (-value - 1)) === 0)
}

function sumAt(bytes: Buffer, at: number): Sum {
  return [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)]
}

function isEqual(a: Sum, b: Sum): boolean {
  return a[0] === b[0] && a[1] === b[1]
}

function differingBits(a: Buffer, b: Buffer): number {
  let bits = 0
  for (const [i, byte] of a.entries()) for (let rest = byte ^ (b[i] ?? 0); rest > 0; rest &= rest - 1) bits++
  return bits
}
