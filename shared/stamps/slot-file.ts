import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { SluiceError, toSluiceError } from '../errors.ts'
import { syncFolder } from '../storage/folders.ts'
import { NEW_SLOT, readSlotState, writeSlotState, type HeldSlot, type SlotState } from './slot.ts'

/**
 * The slot of a process that has the data folder to itself: always slot 0, its state in a file. Errors: `data_corrupt`,
 * `data_unwritable`; saving: `data_unwritable`.
 */
export function openSlotFile(file: string): HeldSlot {
  const save = async (state: SlotState): Promise<void> => write(file, `${writeSlotState(state)}\n`)
  return { slot: 0, state: read(file), save, giveBack: save }
}

function read(file: string): SlotState {
  const text = readIfThere(file)
  if (text === undefined) return NEW_SLOT
  const state = readSlotState(text)
  if (state === undefined) throw new SluiceError('data_corrupt', `${file} is not what was written`)
  return state
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw unwritable(file, error)
  }
}

/** The new text or the old one, whatever happens; durable on return. */
function write(file: string, text: string): void {
  try {
    const draft = `${file}.new`
    const descriptor = openSync(draft, 'w', 0o600)
    try {
      writeSync(descriptor, text)
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    renameSync(draft, file)
    syncFolder(dirname(file))
  } catch (error) {
    throw unwritable(file, error)
  }
}

function unwritable(file: string, error: unknown): SluiceError {
  return new SluiceError('data_unwritable', `${file}: ${toSluiceError(error).message}`, { cause: error })
}
