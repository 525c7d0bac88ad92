import { statSync } from 'node:fs'
import { syncFolder } from '../../storage/folders.ts'
import type { LogTopic } from '../port.ts'
import { openOrSalvage, type Opening, salvage } from './opening.ts'
import { endSalvages } from './salvage.ts'
import { createSegment, type Mark, removeSegment, segmentFile, segmentFiles, sequenceOf } from './segment-file.ts'
import { Segment } from './segment.ts'

/** Finished files kept open for readers: as many places as are read at once, with a page cache of 2 MB each. */
const MAX_OPEN = 4

/** A file that gets no more rows. */
export interface Finished {
  readonly file: string
  begin: readonly Mark[]
  /** Rows from here on, if there are any, were never acknowledged: the next file begins here. */
  end: readonly Mark[]
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
  /** Something that was stored is damaged. */
  readonly onDamage: (detail: string) => void
}

/** The files of one topic in order: finished ones, and the active one that is appended to. */
export class SegmentFiles {
  /** Where each partition stands. */
  end: readonly Mark[]
  readonly finished: Finished[] = []
  readonly #options: SegmentFilesOptions
  readonly #readers = new Map<string, Segment>()
  #active: Segment | undefined
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

  /** The file that is written; a new one after an error has ended the last. */
  active(): Segment {
    return this.#active ?? this.#begin()
  }

  /**
   * Ends the active file as it is, because what it holds may differ from the disk: after a sync that failed the kernel
   * takes the pages for written, and the next sync tells nothing about them. What was acknowledged came before that.
   */
  endActive(): void {
    const active = this.#active
    if (active === undefined) return
    this.#active = undefined
    if (active.begin.some(({ offset }, p) => offset < (this.end[p]?.offset ?? 0))) this.#finish(active)
    else {
      // All that may be in it was reported as failed.
      active.close()
      removeSegment(active.file)
    }
  }

  /** Begins the next file. When there is no room for it, nothing has changed. */
  roll(): void {
    const old = this.#active
    this.#begin()
    if (old !== undefined) this.#finish(old)
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
    for (const [oldest, reader] of this.#readers) {
      if (this.#readers.size < MAX_OPEN) break
      reader.close()
      this.#readers.delete(oldest)
    }
    this.#readers.set(file, segment)
    return segment
  }

  /** Replaces a finished file by what can be read of it. */
  repair(finished: Finished, flaw: string): void {
    const index = this.finished.indexOf(finished)
    this.#closeReader(finished)
    const segment = salvage(finished.file, flaw, 'read', this.#opening(this.finished[index - 1]))
    if (segment === undefined) this.finished.splice(index, 1)
    else {
      finished.begin = segment.begin
      finished.unsealed = segment
    }
    this.sealFinished()
  }

  /** Unlinks the oldest finished file; its name is gone for good on return. */
  removeOldest(): void {
    const oldest = this.finished.shift()
    if (oldest === undefined) return
    this.#closeReader(oldest)
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
    this.#active?.close()
    this.#active = undefined
  }

  #openAll(): void {
    endSalvages(this.#options.folder)
    const files = segmentFiles(this.#options)
    for (const [index, file] of files.entries()) {
      this.#sequence = sequenceOf(file)
      const isLast = index === files.length - 1
      const segment = openOrSalvage(file, isLast ? 'write' : 'read', this.#opening(this.finished.at(-1)))
      if (segment === undefined) continue
      this.#cutAt(segment.firstOffsets())
      const before = this.finished.at(-1)?.end
      this.end = segment.end().map((mark, p) => {
        const reached = before?.[p]
        return reached !== undefined && reached.offset > mark.offset ? reached : mark
      })
      if (!isLast) this.#finish(segment)
      else this.#active = segment
    }
    this.sealFinished()
    this.#raise()
    if (this.#active === undefined) this.#begin()
  }

  /**
   * A torn tail may have taken records that a group had read already. Their offsets are not given out again: the group
   * would never read the new ones.
   */
  #raise(): void {
    const { floor, topic, onDamage } = this.#options
    const end = this.end.map((mark, p) => ({ ...mark, offset: Math.max(mark.offset, floor(p)) }))
    const raised = end.flatMap(({ offset }, p) => {
      const from = this.end[p]?.offset ?? 0
      return offset > from ? [`${from} to ${offset - 1} of partition ${p}`] : []
    })
    if (raised.length === 0) return
    onDamage(`${topic}: offsets ${raised.join(', ')} were read by a group and are gone`)
    if (this.#active !== undefined) this.#finish(this.#active)
    this.#active = undefined
    this.end = end
  }

  /** Rows from these offsets on are those of a later file: what earlier ones have there was never acknowledged. */
  #cutAt(firstOffsets: readonly (number | undefined)[]): void {
    for (const finished of this.finished) {
      finished.end = finished.end.map((mark, p) => ({
        ...mark,
        offset: Math.min(mark.offset, firstOffsets[p] ?? Infinity),
      }))
    }
  }

  #opening(before: Finished | undefined): Opening {
    return { ...this.#options, after: before?.end }
  }

  #begin(): Segment {
    const file = segmentFile(this.#options, this.#sequence + 1)
    try {
      createSegment(file, this.end)
      this.#active = Segment.open(file, 'write', this.#options.segmentBytes)
    } catch (error) {
      removeSegment(file)
      removeSegment(`${file}.part`)
      throw error
    }
    this.#sequence++
    return this.#active
  }

  #finish(segment: Segment): void {
    const { file, begin, size } = segment
    this.finished.push({ file, begin, end: this.end, bytes: size.database + size.wal, unsealed: segment })
  }

  #closeReader({ file, unsealed }: Finished): void {
    unsealed?.close()
    this.#readers.get(file)?.close()
    this.#readers.delete(file)
  }
}
