import { SegmentFiles } from '../../shared/log/sqlite/segment-files.ts'
import { Segment } from '../../shared/log/sqlite/segment.ts'

/**
 * Known-wrong: after a failed sync the log opens the same file again and appends to what SQLite recovers from its WAL,
 * which the kernel shows and the disk may not have. Loaded with `node --import`, which worker threads inherit.
 */
const { endActive } = SegmentFiles.prototype
const open = Segment.open.bind(Segment)
let ended: { files: SegmentFiles; file: string } | undefined

SegmentFiles.prototype.endActive = function () {
  endActive.call(this)
  const last = this.finished.pop()
  last?.unsealed?.close()
  ended = last === undefined ? undefined : { files: this, file: last.file }
}

Segment.open = (file, use, segmentBytes) => {
  if (ended === undefined || use === 'read') return open(file, use, segmentBytes)
  const segment = open(ended.file, use, segmentBytes)
  ended.files.end = segment.end()
  ended = undefined
  return segment
}
