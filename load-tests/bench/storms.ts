/**
 * What a broker does when many clients come at once, on real processes, this load generator included:
 *
 *     node load-tests/bench/storms.ts [plain] [tls] [passwords] [nodes] [options]
 *
 * plain, tls: a fleet that lost its connections comes back; with TLS by session tickets. passwords: wrong passwords while
 * others send. nodes: quick reconnects over two nodes on Redis (reconnects.ts), after which nothing may be left. Without
 * names all four run. Options: --clients <10000>, --at-once <2000>, --attempts <wrong passwords, 10000>, --reconnects
 * <over two nodes, 24000>, --json. Wrong passwords come from an address of this machine that is not loopback, because
 * loopback has no limits: the service listens there for the time of the run. What they cost is compared with the same
 * attack on a process beside the broker, which is what it costs to have an attacker on the same machine.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { requireHandles } from '../storms/file-handles.ts'
import { passwordStorm } from '../storms/password-storm.ts'
import { reconnectStorm } from '../storms/reconnect-storm.ts'

/** File handles beside those of the clients. */
const OTHER_HANDLES = 1_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    clients: { type: 'string', default: '10000' },
    'at-once': { type: 'string', default: '2000' },
    attempts: { type: 'string', default: '10000' },
    reconnects: { type: 'string', default: '24000' },
    json: { type: 'boolean', default: false },
  },
})
const clients = Number(values.clients)
const atOnce = Number(values['at-once'])
const storms: Readonly<Record<string, () => Promise<object>>> = {
  plain: () => reconnectStorm({ clients, atOnce, tls: false }),
  tls: () => reconnectStorm({ clients, atOnce, tls: true }),
  passwords: () => passwordStorm({ attempts: Number(values.attempts) }),
  nodes: async () => overTwoNodes(),
}

requireHandles(clients + OTHER_HANDLES)
const results: Record<string, object> = {}
for (const [name, run] of Object.entries(storms)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  results[name] = await run()
  if (values.json) continue
  console.log(name)
  console.table(results[name])
}
if (values.json) console.log(JSON.stringify(results))

function overTwoNodes(): object {
  const args = [join(import.meta.dirname, 'reconnects.ts'), values.reconnects]
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as object
}
