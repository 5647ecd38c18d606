/**
 * How long a gateway's event loop stood still: it is started with `lag.mjs`, which notes that in a file.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as passed } from 'node:timers/promises'

interface Place {
  readonly folder: string
}

const fileIn = ({ folder }: Place): string => path.join(folder, 'lag')

export const lagArgs = (): string[] => ['--import', path.join(import.meta.dirname, 'lag.mjs')]

/** @returns The longest since it was last forgotten, and for what is noted until now, ms. */
export async function lagOf(place: Place): Promise<number> {
  await passed(2 * NOTED_EVERY_MS)
  return Number(readFileSync(fileIn(place), 'utf8'))
}

export async function forgetLag(place: Place): Promise<void> {
  rmSync(fileIn(place), { force: true })
  while (!existsSync(fileIn(place))) await passed(20)
}

/** As in `lag.mjs`. */
const NOTED_EVERY_MS = 100
