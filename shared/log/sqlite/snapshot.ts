import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { SluiceError } from '../../errors.ts'
import { shareFile } from '../../storage/folder-copy.ts'
import type { TelemetryLog } from '../port.ts'
import type { SegmentFiles } from './segment-files.ts'

export interface SqliteTelemetryLog extends TelemetryLog {
  /**
   * Copies the log into a folder that can be opened as one, in two steps: first what groups have read, into a folder that is
   * empty or absent, and at last the records. Whatever was appended before the first step is in the copy, and whatever
   * is behind the positions in it that was there before the second. Errors: `disk_full`, `data_unwritable`, `closed`.
   */
  snapshot(folder: string, what: 'positions' | 'records'): Promise<void>
}

/**
 * Copies the finished files of a topic that the folder does not have yet, and with `isWhole` the active one, whose rows are
 * to be few: it is copied row by row. What retention removes between two calls stays in the copy. Error: `disk_full` when a
 * file could not be finished.
 */
export function copyFiles(files: SegmentFiles, folder: string, isWhole: boolean): void {
  for (const { file, unsealed } of files.finished) {
    if (unsealed !== undefined) throw new SluiceError('disk_full', `${file} found no room to be finished`)
    const copy = join(folder, basename(file))
    if (!existsSync(copy)) shareFile(file, copy)
  }
  const active = files.active()
  if (isWhole) active.copyTo(join(folder, basename(active.file)))
}
