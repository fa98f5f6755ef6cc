/** Of this Osier; a backup says which one made it. */
export const osierVersion = '0.1.0';
