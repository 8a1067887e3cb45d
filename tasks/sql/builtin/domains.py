"""Which schema belongs to which split. Whole schemas are held out: no database of one split is seen in another."""

from __future__ import annotations

from collections.abc import Mapping

from harness.core import Split
from tasks.sql.builtin import domains_culture as culture
from tasks.sql.builtin import domains_public as public
from tasks.sql.builtin import domains_trade as trade
from tasks.sql.builtin import domains_work as work
from tasks.sql.builtin.schema import Schema

SCHEMAS: Mapping[Split, tuple[Schema, ...]] = {
    "train": (
        trade.BOOKSHOP,
        public.HOSPITAL,
        culture.FILM_STUDIO,
        trade.WEB_STORE,
        work.COMPANY_HR,
        culture.MUSIC_LABEL,
        trade.FURNITURE_FACTORY,
        public.CITY_LIBRARY,
        culture.FOOTBALL_LEAGUE,
        trade.REAL_ESTATE,
        public.AIRPORT,
        public.ZOO,
        trade.COFFEE_SHOP,
        work.UNIVERSITY,
        culture.ART_MUSEUM,
        public.POLICE,
        trade.CAR_RENTAL,
        work.NEWSPAPER,
        culture.THEATER,
        work.INSURANCE,
    ),
    "validation": (public.WEATHER, culture.TENNIS_CLUB, work.RESEARCH_LAB, trade.AUCTION_HOUSE, public.TRAIN_NETWORK),
    "test": (
        trade.GROCERY_CHAIN,
        culture.VIDEO_GAMES,
        work.BANK,
        culture.CYCLING_TOUR,
        work.SCHOOL,
        public.HOTEL_GROUP,
        culture.PHOTO_AGENCY,
        work.FARM,
    ),
}
