import { runIngestWorker } from '../../services/ingest-worker/main.ts'
import { overriding } from '../../load-tests/reference/overriding.ts'

/** No partition is this one, and of another partition every state is taken. */
const NOWHERE = 1_000_000

/** Told by SIGUSR2, it hangs with its next state in its hands, until SIGCONT; it says so right before. */
let hangs = false
process.on('SIGUSR2', () => {
  hangs = true
})

/** Known-wrong: a worker of the cluster whose state replaces what is there, whatever its position in the log. */
process.exitCode = await runIngestWorker((ports) => {
  const { registry } = ports
  return {
    ...ports,
    registry: overriding(registry, {
      async writeState(rows) {
        if (hangs && rows.length > 0) {
          hangs = false
          process.stderr.write('hangs with state in its hands\n')
          process.kill(process.pid, 'SIGSTOP')
        }
        await registry.writeState(rows.map((row) => ({ ...row, partition: NOWHERE })))
        await registry.writeState(rows)
      },
    }),
  }
})
