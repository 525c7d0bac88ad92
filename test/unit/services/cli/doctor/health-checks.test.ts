import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  checkClock,
  checkDataFolder,
  checkDiskSpace,
  checkNode,
  checkOpenFiles,
  checkPort,
} from '../../../../../services/cli/doctor/health-checks.ts'
import { findPortOwner } from '../../../../../services/cli/doctor/port-owner.ts'
import { tempFolder } from '../../../../helpers.ts'

async function listen(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())))
  return (server.address() as AddressInfo).port
}

describe('doctor', () => {
  it('wants Node 24', () => {
    expect([checkNode('23.9.0').health, checkNode('24.0.0').health]).toEqual(['fail', 'ok'])
  })

  it('syncs in the data folder, or where it will be made, and leaves nothing behind', () => {
    const folder = tempFolder()
    expect(checkDataFolder(folder)).toMatchObject({ health: expect.stringMatching(/ok|warn/) as string })
    expect(checkDataFolder(join(folder, 'x/y')).detail).toContain(`${join(folder, 'x/y')}, will be created; fsync p50`)
    expect(readdirSync(folder)).toEqual([])
  })

  it('finds a folder that cannot be written', () => {
    const file = join(tempFolder(), 'file')
    writeFileSync(file, '')
    expect(checkDataFolder(file)).toMatchObject({ health: 'fail', fix: expect.stringContaining('DATA_DIR') as string })
    // /proc takes no files from anybody, not even from root.
    expect(checkDataFolder('/proc/sluice').health).toBe('fail')
  })

  it('knows the free space', () => {
    const [finding, ...others] = checkDiskSpace(tempFolder(), undefined)
    expect(finding?.detail).toMatch(/^\d+\.\d [GM]B of \d+\.\d GB free, \d+\.\d [GM]B kept in reserve/)
    expect(others).toEqual([])
  })

  it.each([
    ['64', 'fail'],
    ['1024', 'warn'],
    ['1048576', 'ok'],
    ['unlimited', 'ok'],
  ])('finds %s open files to be %s', (limit, health) => {
    const folder = tempFolder()
    mkdirSync(folder, { recursive: true })
    const file = join(folder, 'limits')
    writeFileSync(file, `Limit  Soft Limit  Hard Limit\nMax open files            ${limit}     1048576     files\n`)
    expect(checkOpenFiles(file).health).toBe(health)
    expect(checkOpenFiles(join(folder, 'none')).health).toBe('ok')
  })

  it('distrusts a clock that is not now, or behind what was received', () => {
    const now = Date.UTC(2026, 5, 1)
    expect(checkClock(now, undefined).health).toBe('ok')
    expect(checkClock(now, now - 1000).health).toBe('ok')
    expect(checkClock(now, now + 60_000)).toMatchObject({
      health: 'fail',
      fix: expect.stringContaining('clock') as string,
    })
    expect(checkClock(Date.UTC(1970, 0, 1), undefined).health).toBe('fail')
    expect(checkClock(Date.UTC(2150, 0, 1), undefined).health).toBe('fail')
  })

  it('tells a free port from one that is taken, and by whom', async () => {
    const port = await listen()
    const taken = await checkPort('MQTT_PORT', { host: '127.0.0.1', port }, false)
    expect(taken).toMatchObject({ health: 'fail', fix: 'Stop it, or set MQTT_PORT to another port.' })
    expect(taken.detail).toContain(`process ${process.pid} (`)
    expect(await checkPort('MQTT_PORT', { host: '127.0.0.1', port }, true)).toMatchObject({ health: 'ok' })
    expect(await checkPort('HTTP_PORT', { host: '127.0.0.1', port: 0 }, false)).toMatchObject({ health: 'ok' })
    const elsewhere = await checkPort('HTTP_PORT', { host: '192.0.2.1', port: 0 }, false)
    expect(elsewhere).toMatchObject({ health: 'fail', fix: expect.stringContaining('BIND_ADDRESS') as string })
  })

  it('finds no owner of a port that nobody listens on', () => {
    expect(findPortOwner(0)).toBeUndefined()
  })
})
