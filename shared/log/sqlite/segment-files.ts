import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { SluiceError } from '../../errors.ts'
import type { LogTopic } from '../port.ts'
import { type Mark, removeSegment, Segment } from './segment.ts'
import { syncFolder } from '../../storage/folders.ts'

/** Finished files kept open for readers: as many places as are read at once, with a page cache of 2 MB each. */
const MAX_OPEN = 4

/** A file that gets no more rows. */
export interface Finished {
  readonly file: string
  readonly begin: readonly Mark[]
  readonly end: readonly Mark[]
  bytes: number
  /** Not sealed yet, because the disk had no room for it: still open, with its WAL. */
  unsealed: Segment | undefined
}

interface SegmentFilesOptions {
  readonly folder: string
  readonly topic: LogTopic
  readonly partitions: number
  readonly segmentBytes: number
  /** Lowest offset that a partition may give out next, whatever the files say. */
  readonly floor: (partition: number) => number
  /** Something failed that is tried again later. */
  readonly onTrouble: (error: unknown) => void
}

/** The files of one topic in order: finished ones, and the active one that is appended to. */
export class SegmentFiles {
  /** Where each partition stands. */
  end: readonly Mark[]
  readonly finished: Finished[] = []
  readonly #options: SegmentFilesOptions
  readonly #readers = new Map<string, Segment>()
  #active: Segment | undefined
  #activeFile = ''
  #sequence = 0

  constructor(options: SegmentFilesOptions) {
    this.#options = options
    this.end = Array.from({ length: options.partitions }, () => ({ offset: 0, ms: -1, ns: 0 }))
    try {
      this.#openAll()
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** The file that is written; opened again when an error has closed it. */
  active(): Segment {
    if (this.#active !== undefined) return this.#active
    const segment = Segment.open(this.#activeFile, 'write', this.#options.segmentBytes)
    if (segment === undefined) throw new SluiceError('log_corrupt', `${this.#activeFile} has lost its contents`)
    this.#active = segment
    // Rows of a commit that was reported as failed may be there: never acknowledged, but kept.
    const found = segment.end()
    this.end = this.end.map((mark, p) => ((found[p]?.offset ?? 0) > mark.offset ? (found[p] ?? mark) : mark))
    return segment
  }

  /** Closes the active file, because what its connection believes may differ from the disk. */
  dropActive(): void {
    const active = this.#active
    this.#active = undefined
    active?.close()
  }

  /** Begins the next file. When there is no room for it, nothing has changed. */
  roll(): void {
    const old = this.#active
    const file = segmentFile(this.#options, this.#sequence + 1)
    let next: Segment
    try {
      next = Segment.create(file, this.end, this.#options.segmentBytes)
    } catch (error) {
      removeSegment(file)
      throw error
    }
    this.#sequence++
    if (old !== undefined) this.#finish(old)
    this.#active = next
    this.#activeFile = file
    this.sealFinished()
  }

  /** Seals what could not be sealed before. */
  sealFinished(): void {
    for (const finished of this.finished) {
      if (finished.unsealed === undefined) continue
      try {
        finished.unsealed.seal()
      } catch (error) {
        this.#options.onTrouble(error)
        return
      }
      finished.unsealed.close()
      finished.unsealed = undefined
      finished.bytes = statSync(finished.file).size
    }
  }

  /** A finished file, open for reading. */
  reader({ file, unsealed }: Finished): Segment {
    const known = unsealed ?? this.#readers.get(file)
    if (known !== undefined) return known
    const segment = Segment.open(file, 'read', this.#options.segmentBytes)
    if (segment === undefined) throw new SluiceError('log_corrupt', `${file} has lost its contents`)
    for (const [oldest, reader] of this.#readers) {
      if (this.#readers.size < MAX_OPEN) break
      reader.close()
      this.#readers.delete(oldest)
    }
    this.#readers.set(file, segment)
    return segment
  }

  /** Unlinks the oldest finished file; its name is gone for good on return. */
  removeOldest(): void {
    const oldest = this.finished.shift()
    if (oldest === undefined) return
    oldest.unsealed?.close()
    this.#readers.get(oldest.file)?.close()
    this.#readers.delete(oldest.file)
    removeSegment(oldest.file)
    syncFolder(this.#options.folder)
  }

  /** First offset kept, by partition. */
  starts(): number[] {
    const begin = this.finished[0]?.begin ?? this.#active?.begin ?? this.end
    return begin.map(({ offset }) => offset)
  }

  diskBytes(): number {
    const { database, wal } = this.#active?.size ?? { database: 0, wal: 0 }
    return this.finished.reduce((sum, { bytes }) => sum + bytes, database + wal)
  }

  close(): void {
    for (const segment of this.#readers.values()) segment.close()
    this.#readers.clear()
    for (const { unsealed } of this.finished) unsealed?.close()
    this.finished.length = 0
    this.dropActive()
  }

  #openAll(): void {
    const files = segmentFiles(this.#options)
    for (const [index, file] of files.entries()) {
      this.#sequence = sequenceOf(file)
      const isLast = index === files.length - 1
      const segment = Segment.open(file, isLast ? 'write' : 'read', this.#options.segmentBytes)
      if (segment === undefined) {
        removeSegment(file)
        continue
      }
      this.end = segment.end()
      if (!isLast) this.#finish(segment)
      else this.#active = segment
    }
    this.sealFinished()
    // A torn tail may have taken records that a group had read already. Their offsets are not given out again: the
    // group would never read the new ones.
    const end = this.end.map((mark, p) => ({ ...mark, offset: Math.max(mark.offset, this.#options.floor(p)) }))
    const isRaised = end.some(({ offset }, partition) => offset > (this.end[partition]?.offset ?? 0))
    if (isRaised && this.#active !== undefined) {
      this.#finish(this.#active)
      this.#active = undefined
    }
    this.end = end
    if (this.#active === undefined) this.roll()
    else this.#activeFile = this.#active.file
  }

  #finish(segment: Segment): void {
    const { file, begin, size } = segment
    this.finished.push({ file, begin, end: this.end, bytes: size.database + size.wal, unsealed: segment })
  }
}

function segmentFile({ folder, topic }: SegmentFilesOptions, sequence: number): string {
  return join(folder, `${topic}-${String(sequence).padStart(10, '0')}.sqlite`)
}

function segmentFiles({ folder, topic }: SegmentFilesOptions): string[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith(`${topic}-`) && /-\d{10}\.sqlite$/.test(name))
    .sort()
    .map((name) => join(folder, name))
}

function sequenceOf(file: string): number {
  return Number(file.slice(-'0000000000.sqlite'.length, -'.sqlite'.length))
}
