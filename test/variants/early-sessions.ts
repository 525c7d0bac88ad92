import { EMBEDDED, runStandalone } from '../../services/standalone/main.ts'
import type { LocalSessionStore } from '../../shared/sessions/port.ts'

/** Long enough for an acknowledgement to leave, and for a kill. */
const LATE_MS = 200

/** Known-wrong: what sessions keep is stored after its acknowledgement. */
process.exitCode = await runStandalone(
  { lan: false },
  {
    ...EMBEDDED,
    async openPorts(context) {
      const ports = await EMBEDDED.openPorts(context)
      return { ...ports, sessions: early(ports.sessions) }
    },
  },
)

function early(store: LocalSessionStore): LocalSessionStore {
  let number = 0
  const later = (work: () => Promise<unknown>): void => {
    setTimeout(() => void work().catch((error: unknown) => process.stderr.write(`${String(error)}\n`)), LATE_MS)
  }
  const known: Partial<LocalSessionStore> = {
    async send(message) {
      later(() => store.send(message))
      return { number: (number += 1), stored: 1, full: 0 }
    },
    async keep(message) {
      later(() => store.keep(message))
      return true
    },
  }
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(known, name) ?? Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}
