import type { PointScan, PointStore, ScanEnd } from '../port.ts'
import { checkScan, encodeScanCursor, type CheckedScan, type ScanPlace } from '../scan-check.ts'
import { ScanMeter } from '../scan-meter.ts'
import type { ScanStep } from './scan-state.ts'
import type { BegunScan } from './scans.ts'
import type { Unpacked, UnpackJob } from './unpack.ts'

/** The threads that a scan is made by. */
export interface ScanThreads {
  /** The one that owns the files: looks series and chunks up. */
  begin(scan: CheckedScan, points: number): Promise<BegunScan>
  /** Undefined when what the scan reads from has changed. */
  step(id: number, points: number): Promise<ScanStep | undefined>
  end(id: number): void
  /** A reader: unpacks them. */
  unpack(job: UnpackJob): Promise<Unpacked>
}

/** A scan, step by step; nothing is asked of the threads before the last batch is taken. */
export async function* runScan(threads: ScanThreads, scan: PointScan): ReturnType<PointStore['scan']> {
  const checked = checkScan(scan)
  const { stepMs, budget } = checked
  const until = performance.now() + budget.ms
  const meter = new ScanMeter(budget)
  const end = (by: ScanEnd['by'], at?: ScanPlace): ScanEnd => {
    return { kind: 'end', by, next: at && encodeScanCursor(scan, at), spent: meter.spent }
  }
  // One more than may be handed out says whether there is more.
  const wanted = () => (stepMs === undefined ? budget.points - meter.spent.points + 1 : Infinity)
  let place = checked.resume
  for (;;) {
    const begun = await threads.begin({ ...checked, resume: place }, wanted())
    let open: UnpackJob['open']
    let isKept = true
    try {
      let step: ScanStep | undefined = begun.step
      for (; step !== undefined; step = await threads.step(begun.id, wanted())) {
        isKept = step.next !== undefined
        const unpacked: Unpacked = await threads.unpack({ stepMs, series: step.series, open })
        const { series, cut } = meter.take(unpacked.series)
        if (series.length > 0) yield { kind: 'batch', series }
        if (cut !== undefined) return yield end(cut.by, cut.at)
        if (step.next === undefined) return yield end('all')
        place = placeAfter(step.next, unpacked, stepMs)
        open = unpacked.open
        if (scan.signal?.aborted === true) return yield end('signal', place)
        if (performance.now() >= until) return yield end('ms', place)
      }
    } finally {
      if (isKept) threads.end(begun.id)
    }
    // Before anything was handed out nobody minds of which moment it is.
    if (meter.spent.points > 0) return yield end('state', place)
  }
}

/** An open window is begun anew. */
function placeAfter(next: ScanPlace, { open }: Unpacked, stepMs: number | undefined): ScanPlace {
  if (open === undefined || stepMs === undefined) return next
  return { ...next, time: { ms: open.window * stepMs, ns: 0 } }
}
