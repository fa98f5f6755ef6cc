import { type WritableKind, writableKinds } from '@osier/contracts/kinds';

export const isWritable = (noun: string): noun is WritableKind => (writableKinds as readonly string[]).includes(noun);
