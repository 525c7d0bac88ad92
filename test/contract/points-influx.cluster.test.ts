import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { startInfluxdb, type Influxdb } from '../../load-tests/servers/influxdb.ts'
import { describePointStore } from './points-contract.ts'
import { makeInflux } from './points-influx-harness.ts'

let server: Influxdb
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-influx-'))
  server = await startInfluxdb(folder)
})

afterAll(async () => {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

describePointStore('points in InfluxDB', () => makeInflux(server))
