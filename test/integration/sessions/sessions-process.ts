import { createInterface } from 'node:readline'
import { toSluiceError } from '../../../shared/errors.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { runProcess } from '../../../shared/process/service-process.ts'
import { openSqliteSessions } from '../../../shared/sessions/sqlite/open.ts'
import { CLEAN, KEPT, message } from '../../contract/sessions-harness.ts'
import { AWAY, COMMANDED, SENDER } from './session-names.ts'

/**
 * A process that opens sessions, two of which are away, and does what it is told with a number: see `verbs`. It says
 * `{verb} {number} done` when that may be acknowledged, or `{verb} {number} {code}`, and ends as Sluice does:
 * `sessions-process.ts FILE BYTES_OF_A_PAYLOAD`.
 */
const [file = '', bytes = ''] = process.argv.slice(2)
process.exitCode = await runProcess(async ({ releasers, fail }) => {
  const logger = createLogger('silent')
  const metrics = createMetrics({ defaults: false })
  const sessions = await openSqliteSessions({ file, maxSessions: 64, logger, metrics, onFailed: fail })
  const input = createInterface({ input: process.stdin })
  releasers.own('input', input, (it) => it.close())
  releasers.own('sessions', sessions, (it) => it.close())
  for (const { clientId, filter } of [AWAY, COMMANDED]) {
    const lease = await sessions.claim(clientId, KEPT)
    await sessions.subscribe(lease, [{ topic: filter, qos: 1 }])
    sessions.release(lease)
  }
  const sender = await sessions.claim(SENDER, KEPT)
  const payload = (n: number): string => `${n}`.padEnd(Number(bytes), ' ')
  const send = async (topic: string, n: number): Promise<void> => {
    const { stored } = await sessions.send(message(topic, payload(n)))
    if (stored !== 1) throw new Error(`${stored} sessions keep it`)
  }
  const verbs: Readonly<Record<string, (n: number) => Promise<unknown>>> = {
    retain: (n) => sessions.keep(message(`retained/${n}`, payload(n))),
    queue: (n) => send('queue/x', n),
    command: (n) => send('t/acme/pump/cmd/set', n),
    incoming: (n) => sessions.noteIncoming(sender, n),
    open: (n) => sessions.writeUnreleased([{ lease: sender, id: n, digest: n }]),
    /** Of a connection that is there, and of one that has gone; durable with what is acknowledged next. */
    async will(n) {
      const lease = await sessions.claim(`app//will-${n}`, CLEAN)
      const will = message('will/x', `${n}`)
      await sessions.putWill(lease, will)
      if (n % 2 === 0) {
        await sessions.postponeWill(lease, will)
        sessions.release(lease)
      }
      await sessions.keep(message('retained/will', `${n}`))
    },
  }
  input.on('line', (line) => {
    const [verb = '', n = ''] = line.split(' ')
    verbs[verb]?.(Number(n)).then(
      () => console.log(`${verb} ${n} done`),
      (error: unknown) => console.log(`${verb} ${n} ${toSluiceError(error).code}`),
    )
  })
  console.log(`ready ${process.pid}`)
  return logger
})
