import { SluiceError, toSluiceError } from '../errors.ts'
import { printable } from '../printable.ts'
import { Releasers } from './releasers.ts'
import type { Logger } from './logger.ts'

/** A clean stop takes less; what takes longer is ended, and the log replays what was not committed. */
const STOP_LIMIT_MS = 10_000
/** Ctrl-C reaches a process twice, from the terminal and from npm: signals so close together are one wish. */
const SAME_WISH_MS = 1_000

export interface ProcessContext {
  readonly releasers: Releasers
  /** Aborted by the first signal: a start that waits for a server gives up. */
  readonly stopping: AbortSignal
  /** Stops the process as a signal does, but with this error and exit code 1. The first one counts. */
  readonly fail: (error: unknown) => void
}

/**
 * The life of a process: `start` opens everything and gives what it opened to `releasers`; the first SIGTERM or SIGINT
 * releases it in reverse order, within 10 s; a later one ends the process at once. Resolves with the exit code: 0 after a
 * clean stop, 1 when start, work or stop failed (one line on stderr says why and what to do).
 */
export async function runProcess(start: (context: ProcessContext) => Promise<Logger>): Promise<number> {
  // What a process writes is its user's alone, SQLite's own files too, whatever the folder allows.
  process.umask(0o077)
  const releasers = new Releasers()
  const stop = onStopSignal()
  let started = false
  try {
    const logger = await start({ releasers, stopping: stop.signal, fail: stop.fail })
    started = true
    if (!stop.signal.aborted) await new Promise((resolve) => stop.signal.addEventListener('abort', resolve))
    if (stop.signal.reason instanceof Error) throw stop.signal.reason
    logger.info({ signal: String(stop.signal.reason) }, 'stopping')
    await closeOrExit(releasers)
    logger.info('stopped')
    return 0
  } catch (error) {
    // A signal during the start is no failure, whatever the start made of it.
    const isStop = stop.signal.aborted && !started && !(stop.signal.reason instanceof Error)
    if (!isStop) reportFailure(error)
    await closeOrExit(releasers).catch(reportFailure)
    return isStop ? 0 : 1
  } finally {
    stop.ignore()
  }
}

/** The reason of the signal is an error when the process failed, else the name of what the system sent. */
function onStopSignal(): { signal: AbortSignal; fail: (error: unknown) => void; ignore: () => void } {
  const controller = new AbortController()
  let first: number | undefined
  const listener = (signal: string) => {
    first ??= performance.now()
    if (performance.now() - first > SAME_WISH_MS) process.exit(1)
    controller.abort(signal)
  }
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, listener)
  const ignore = () => ['SIGTERM', 'SIGINT'].forEach((signal) => process.off(signal, listener))
  return { signal: controller.signal, fail: (error) => controller.abort(toSluiceError(error)), ignore }
}

/** Closes everything, or ends the process with code 1: a part that cannot close must not keep it alive. */
async function closeOrExit(releasers: Releasers): Promise<void> {
  const timer = setTimeout(() => {
    const message = `shutdown took longer than ${STOP_LIMIT_MS / 1000} s and was aborted; nothing acknowledged is lost`
    reportFailure(new SluiceError('internal', message))
    process.exit(1)
  }, STOP_LIMIT_MS)
  try {
    await releasers.close()
  } finally {
    clearTimeout(timer)
  }
}

function reportFailure(error: unknown): void {
  const { code, message, kind } = toSluiceError(error)
  process.stderr.write(`sluice: ${printable(message)} (${code}). ${kind.fix}\n`)
}
