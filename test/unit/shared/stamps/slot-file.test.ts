import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { idOfStamp } from '../../../../shared/stamps/scheme.ts'
import { openSlotFile } from '../../../../shared/stamps/slot-file.ts'
import { NEW_SLOT, type SlotState } from '../../../../shared/stamps/slot.ts'
import { tempFolder } from '../../../helpers.ts'
import { ALWAYS_HELD, HOUR, Machine, NOON, StampingProcess } from './stamping.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval'] }))
afterEach(() => void vi.useRealTimers())

describe('the file of the slot', () => {
  it('gives back what was kept last', async () => {
    const file = join(tempFolder(), 'stamps.json')
    expect(openSlotFile(file)).toMatchObject({ slot: 0, state: NEW_SLOT })
    expect(existsSync(file)).toBe(false)
    const state = { era: 2, ends: [{ ms: NOON, ns: 999_999 }, undefined, { ms: 1, ns: 0 }, undefined], taken: [NOON] }
    await openSlotFile(file).save({ ...state, era: 1 })
    await openSlotFile(file).save(state)
    expect(openSlotFile(file).state).toEqual(state)
  })

  it.each(['', '{', 'null', '{"era":4,"ends":[null,null,null,null],"taken":[]}', '{"era":0,"ends":[],"taken":[]}'])(
    'is refused when it is damaged: %j',
    (text) => {
      const file = join(tempFolder(), 'stamps.json')
      writeFileSync(file, text)
      expect(() => openSlotFile(file)).toThrow(expect.objectContaining({ code: 'data_corrupt' }))
    },
  )

  it('that cannot be written keeps everything from being stamped until it can', async () => {
    const machine = new Machine()
    let isFull = true
    const save = async (state: SlotState) => {
      if (isFull) throw new Error('no space')
      machine.kept = state
    }
    await machine.start()
    await machine.readings(1)
    machine.process = await StampingProcess.start(
      { wall: () => machine.wall - HOUR, steady: () => machine.steady },
      machine.log,
      async () => ({ slot: 0, state: machine.kept, ...ALWAYS_HELD, save, giveBack: save }),
    )
    expect(await machine.process.sendSoon('{"v":1}')).toBeUndefined()
    isFull = false
    const record = await machine.process.sendSoon('{"v":1}')
    expect([record && idOfStamp(record), machine.kept.era]).toEqual([64, 1])
  })
})
