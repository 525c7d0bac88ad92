import { createInterface } from 'node:readline'
import { toSluiceError } from '../../../shared/errors.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { runProcess } from '../../../shared/process/service-process.ts'
import { openSqliteRegistry } from '../../../shared/registry/sqlite/open.ts'

/**
 * A process that opens a registry and does what it is told: `make NAME` makes a device, `revoke NAME` ends its logins. It
 * says `made NAME`, `revoked NAME`, `failed NAME CODE` or, at its end, `not closed CODE`, and ends as Sluice does: `registry-process.ts FILE KEY_IN_HEX`.
 */
const [file = '', key = ''] = process.argv.slice(2)
const tenant = 'acme'
process.exitCode = await runProcess(async ({ releasers, fail }) => {
  const logger = createLogger('silent')
  const registry = await openSqliteRegistry({
    file,
    credentialKey: Buffer.from(key, 'hex'),
    logger,
    metrics: createMetrics({ defaults: false }),
    onStorageFailed: fail,
  })
  const input = createInterface({ input: process.stdin })
  releasers.own('input', input, (it) => it.close())
  releasers.own('registry', registry, async (it) => {
    await it.close().catch((error: unknown) => {
      console.log(`not closed ${toSluiceError(error).code}`)
      throw error
    })
  })
  const verbs: Readonly<Record<string, (device: string) => Promise<string>>> = {
    async make(device) {
      await registry.createDevices([{ tenant, device }])
      return 'made'
    },
    async revoke(device) {
      await registry.credentials.revoke(`${tenant}/${device}`)
      return 'revoked'
    },
  }
  input.on('line', (line) => {
    const [verb = '', device = ''] = line.split(' ')
    verbs[verb]?.(device).then(
      (done) => console.log(`${done} ${device}`),
      (error: unknown) => console.log(`failed ${device} ${toSluiceError(error).code}`),
    )
  })
  console.log(`ready ${process.pid}`)
  return logger
})
