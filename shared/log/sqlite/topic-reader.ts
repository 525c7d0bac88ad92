import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SluiceError } from '../../errors.ts'
import { compareInstants, type Instant } from '../../telemetry.ts'
import type { LogTopic } from '../port.ts'
import type { Calls, StoredRow } from './messages.ts'
import type { Mark } from './segment-file.ts'
import type { Finished, SegmentFiles } from './segment-files.ts'
import { storageError } from './storage-error.ts'

interface TopicReaderOptions {
  readonly topic: LogTopic
  readonly folder: string
  readonly files: SegmentFiles
  readonly onTrouble: (error: SluiceError) => void
  readonly onDamage: (detail: string) => void
}

/** Reads a topic across its files. What is damaged is told, kept aside, and passed over. */
export class TopicReader {
  readonly #options: TopicReaderOptions
  /** Damaged rows that were told, by file name. */
  readonly #told = new Set<string>()

  constructor(options: TopicReaderOptions) {
    this.#options = options
  }

  /** As asked by `read`; `from` lies above the offset when what is between them is gone. */
  read(partition: number, offset: number, records: number): Calls['read']['answer'] {
    const { files, folder, topic } = this.#options
    const from = Math.max(offset, files.starts()[partition] ?? 0)
    const repaired = new Set<string>()
    for (;;) {
      let reading: Finished | undefined
      try {
        for (const finished of files.finished) {
          const end = finished.end[partition]?.offset ?? 0
          if (end <= from) continue
          reading = finished
          const rows = files.reader(finished).read({ partition, offset: from, end, records }, this.#onRow(partition))
          if (rows[0] !== undefined) return { from: Math.max(from, rows[0].firstOffset), rows }
        }
        reading = undefined
        const all = { partition, offset: from, end: Infinity, records }
        const rows = files.active().read(all, this.#onRow(partition))
        // Without a row all up to the end is gone.
        return { from: Math.max(from, rows[0]?.firstOffset ?? files.end[partition]?.offset ?? 0), rows }
      } catch (error) {
        const known = storageError(error, folder, `reading ${topic} partition ${partition} offset ${offset}`)
        if (known.code !== 'log_corrupt') throw known
        const damaged = reading ?? this.#endActive()
        // Once is enough: what was read out of a damaged file is whole.
        if (damaged === undefined || repaired.has(damaged.file)) throw known
        repaired.add(damaged.file)
        files.repair(damaged, known.message)
      }
    }
  }

  /** First kept offset at or after a receive time; the end when there is none. */
  seek(partition: number, time: Instant): number {
    const { files, folder, topic } = this.#options
    const reaches = (marks: readonly Mark[]): boolean => {
      const mark = marks[partition]
      return mark !== undefined && compareInstants(mark, time) >= 0
    }
    try {
      const active = files.active()
      if (!reaches(files.end)) return files.end[partition]?.offset ?? 0
      const finished = files.finished.find(({ end }) => reaches(end))
      // When a record that is gone by now was the first to reach it, the first kept one answers.
      const begin = (finished ?? active).begin
      if (reaches(begin)) return begin[partition]?.offset ?? 0
      if (finished === undefined) return active.seek(partition, time)
      return Math.min(files.reader(finished).seek(partition, time), finished.end[partition]?.offset ?? 0)
    } catch (error) {
      throw storageError(error, folder, `reading ${topic} partition ${partition}`)
    }
  }

  /** The active file, which is finished from now on. */
  #endActive(): Finished | undefined {
    const { files } = this.#options
    const { file } = files.active()
    files.endActive()
    return files.finished.find((finished) => finished.file === file)
  }

  #onRow(partition: number): (row: StoredRow, flaw: string) => void {
    return ({ firstOffset, records, packed }, flaw) => {
      const { topic, folder, onDamage, onTrouble } = this.#options
      const name = `${topic}-${partition}-${firstOffset}.damaged`
      if (this.#told.has(name)) return
      this.#told.add(name)
      const last = firstOffset + records - 1
      onDamage(`${flaw} in offsets ${firstOffset} to ${last} of ${topic} partition ${partition}, kept as ${name}`)
      try {
        writeFileSync(join(folder, name), packed)
      } catch (error) {
        onTrouble(storageError(error, folder, `keeping ${name}`))
      }
    }
  }
}
