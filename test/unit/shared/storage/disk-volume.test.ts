import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { DiskVolume } from '../../../../shared/storage/disk-volume.ts'
import { tempFolder } from '../../../helpers.ts'

const MB = 1024 * 1024
const GB = 1024 * MB

interface Line {
  readonly level: string
  readonly msg: string
  readonly code?: string
  readonly fullAt?: string | null
}

/** A volume of which `disk.free` is said to be free, and the lines it logs. */
function volumeOf(size: number, free: number, reserve?: string) {
  const folder = tempFolder()
  const disk = { size, free }
  const clock = { ms: 1_000_000 }
  const lines: Line[] = []
  const sink = { write: (line: string) => void lines.push(JSON.parse(line) as Line) }
  const logger = pino({ formatters: { level: (level) => ({ level }) } }, sink)
  const sizeOf = () => ({ ...disk })
  const volume = new DiskVolume({ folder, reserve, logger, sizeOf, steady: () => clock.ms })
  const file = join(folder, 'disk-reserve')
  return { volume, disk, clock, lines, file }
}

const full = expect.objectContaining({ code: 'disk_full' }) as Error

describe('a volume', () => {
  it('takes nothing in below the reserve, and goes on by itself a little above it', () => {
    const { volume, disk, lines } = volumeOf(100 * GB, 50 * GB)
    expect(volume.reserve).toBe(GB)
    volume.check(MB)
    disk.free = GB - 1
    volume.look()
    expect(() => volume.check()).toThrow(full)
    disk.free = GB + MB
    volume.look()
    expect(() => volume.check()).toThrow(full)
    disk.free = 1.1 * GB
    volume.look()
    volume.check()
    const told = lines.filter(({ msg }) => !msg.includes('used')).map(({ level, code }) => [level, code])
    expect(told).toEqual([
      ['error', 'disk_full'],
      ['info', undefined],
    ])
  })

  it('looks at the file system when what it took in may have reached the reserve, and not before', () => {
    const { volume, disk } = volumeOf(100 * GB, 2 * GB)
    disk.free = 0
    volume.check(GB / 2)
    volume.check(GB / 2)
    expect(() => volume.check(1)).toThrow(full)
  })

  it('is full when a write found no room, whatever the system says, as of a quota', () => {
    const { volume, clock } = volumeOf(100 * GB, 50 * GB)
    volume.foundFull()
    expect(() => volume.check()).toThrow(full)
    clock.ms += 500
    volume.look()
    expect(() => volume.check()).toThrow(full)
    clock.ms += 501
    volume.look()
    volume.check()
  })

  it('tells it at most once in ten seconds, however often it changes', () => {
    const { volume, disk, clock, lines } = volumeOf(100 * GB, 10 * GB)
    for (let i = 0; i < 100; i++) {
      disk.free = i % 2 === 0 ? 0 : 10 * GB
      clock.ms += 500
      volume.look()
    }
    expect(lines.filter(({ level }) => level === 'error')).toHaveLength(5)
  })

  it('keeps a file that is given back when others take what was left, and made again when there is room', async () => {
    const { volume, disk, clock, file } = volumeOf(64 * MB, 32 * MB)
    await volume.keepReserve()
    expect(existsSync(file)).toBe(false)
    clock.ms += 5_000
    await volume.keepReserve()
    expect(statSync(file).size).toBe(MB)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    disk.free = MB
    volume.look()
    expect(existsSync(file)).toBe(true)
    disk.free = MB / 4
    volume.look()
    expect(existsSync(file)).toBe(false)
    await volume.keepReserve()
    expect(existsSync(file)).toBe(false)
    disk.free = 20 * MB
    volume.look()
    await volume.keepReserve()
    expect(existsSync(file)).toBe(true)
    volume.foundFull()
    expect(existsSync(file)).toBe(false)
  })

  it('warns from 80 % used on, at once, when a date is known, and once a day', () => {
    const { volume, disk, clock, lines } = volumeOf(100 * GB, 21 * GB)
    const warned = () => lines.filter(({ msg }) => msg.includes('used')).map(({ fullAt }) => fullAt)
    expect(warned()).toEqual([])
    disk.free = 20 * GB
    clock.ms += 1_000
    volume.look()
    expect(warned()).toEqual([null])
    const before = Date.now()
    for (let hours = 0; hours < 3; hours++) {
      disk.free -= GB
      clock.ms += 3_600_000
      volume.look()
    }
    // 17 GB are free, one of which is the reserve: at one in an hour it takes about 12 hours from the first sample on.
    const [, date] = warned()
    expect(Date.parse(date ?? '')).toBeGreaterThan(before + 8 * 3_600_000)
    expect(Date.parse(date ?? '')).toBeLessThan(before + 19 * 3_600_000)
    expect(warned()).toHaveLength(2)
    expect(volume.describe()).toMatch(/^17.0 GB of 100.0 GB free; at the rate of the last 3 h it is full on 20\d\d-/)
    clock.ms += 24 * 3_600_000
    volume.look()
    expect(warned()).toHaveLength(3)
  })

  it('says at once that it begins full', () => {
    const { volume, lines } = volumeOf(24 * MB, MB)
    expect(() => volume.check()).toThrow(full)
    expect(lines.map(({ code }) => code)).toEqual(['disk_full'])
    expect(volume.describe()).toBe('1.0 MB of 24.0 MB free, and 5.0 MB are kept in reserve: nothing is taken in')
  })
})
