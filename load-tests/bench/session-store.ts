import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { createMetrics } from '../../shared/process/metrics.ts'
import type { Message } from '../../shared/sessions/message.ts'
import { openSqliteSessions } from '../../shared/sessions/sqlite/open.ts'

/**
 * What the file of sessions costs a disk: `--devices` with persistent sessions and one command a minute each, delivered and
 * acknowledged, for `--seconds`. And how long a file with `--sessions` of them takes to open.
 */
const { values } = parseArgs({
  options: {
    devices: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '30' },
    sessions: { type: 'string', default: '100000' },
  },
})
const [devices, seconds, sessions] = [values.devices, values.seconds, values.sessions].map(Number)
const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
const file = join(folder, 'sessions.db')
const KEPT = { clean: false, expiry: undefined }

async function open() {
  const metrics = createMetrics({ defaults: false })
  const onFailed = (error: Error): never => {
    throw error
  }
  const store = await openSqliteSessions({ file, maxSessions: 64, logger: pino({ level: 'warn' }), metrics, onFailed })
  const commits = async (): Promise<number> => {
    const counted = await metrics.getSingleMetric('sluice_sessions_commits_total')?.get()
    return counted?.values[0]?.value ?? 0
  }
  return { store, commits }
}

/** Bytes that this process has written, to the kernel and to the disk. */
function written(): { calls: number; disk: number } {
  const text = readFileSync('/proc/self/io', 'utf8')
  const of = (name: string): number => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(text)?.[1])
  return { calls: of('wchar'), disk: of('write_bytes') }
}

async function subscribed(store: Awaited<ReturnType<typeof open>>['store'], device: number) {
  const lease = await store.claim(`t/${device}/c`, KEPT)
  await store.subscribe(lease, [{ topic: `t/t/${device}/cmd/#`, qos: 1 }])
  return lease
}

async function commanded(): Promise<void> {
  const { store, commits } = await open()
  const leases = await Promise.all(Array.from({ length: devices ?? 0 }, (_, device) => subscribed(store, device)))
  await pause(1_500)
  const [before, commitsBefore, start] = [written(), await commits(), performance.now()]
  const interval = 60_000 / (devices ?? 1)
  let sent = 0
  for (; performance.now() - start < (seconds ?? 0) * 1_000; sent += 1) {
    const device = sent % leases.length
    const lease = leases[device]
    if (lease === undefined) break
    const payload = Buffer.alloc(100, 'x')
    const message: Message = { topic: `t/t/${device}/cmd/set`, payload, qos: 1, retain: false, expiresMs: undefined }
    const { number } = await store.send(message)
    await store.noteDelivery(lease, {
      number: String(number),
      messageId: 1 + (sent % 60_000),
      qos: 1,
      isReleased: false,
    })
    await store.acknowledge(lease, String(number))
    await pause(Math.max(0, start + (sent + 1) * interval - performance.now()))
  }
  await pause(1_500)
  const [after, commitsAfter, took] = [written(), await commits(), (performance.now() - start) / 1_000]
  const perSecond = (value: number): string => (value / took).toFixed(1)
  console.log(
    `${devices} devices, ${sent} commands in ${took.toFixed(1)} s: ${perSecond(commitsAfter - commitsBefore)} syncs/s, ${perSecond((after.calls - before.calls) / 1024)} KiB/s written, ${perSecond((after.disk - before.disk) / 1024)} KiB/s to the disk`,
  )
  await store.close()
}

async function opened(): Promise<void> {
  const { store } = await open()
  for (let from = 0; from < (sessions ?? 0); from += 5_000) {
    const many = Array.from({ length: 5_000 }, (_, index) => subscribed(store, from + index))
    for (const lease of await Promise.all(many)) store.release(lease)
  }
  await store.close()
  const [start, memory] = [performance.now(), process.memoryUsage.rss()]
  const again = await open()
  const rss = (process.memoryUsage.rss() - memory) / 1_048_576
  console.log(
    `${sessions} sessions, ${(statSync(file).size / 1_048_576).toFixed(1)} MiB: open in ${((performance.now() - start) / 1_000).toFixed(2)} s, ${rss.toFixed(1)} MiB more memory`,
  )
  await again.store.close()
}

try {
  await commanded()
  rmSync(file, { force: true })
  await opened()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
